#!/usr/bin/env bash
# Installs all parts that ./demo, ./check or xueliang bench --reference needs, and leaves in the cache what they export: install.sh demo|check|bench
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=deploy/dev/parts.sh
. deploy/dev/parts.sh

part_rust
part_apt_demo
part_onnxruntime
part_model
part_footage
part_console
[[ ${1:-} != bench ]] || part_bench
if [[ ${1:-} == check ]]; then
    part_apt_check
    part_mqtt
    part_postgres
    part_browser
    part_java
    part_ssdlite
    part_node
    part_console_packages
    part_kafka
    part_python
    part_schemathesis
    part_oidc
    part_cargo_deny
    part_openvino
    PYTHON=$PYTHON inference/tests/reference/prepare.sh "$CACHE"
fi
part_settings >"$CACHE/settings.sh"

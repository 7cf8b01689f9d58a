#!/usr/bin/env bash
# Schemathesis against a real system: requests made up from the API's description, and whether each answer keeps to it. Starts the
# stage, signs in, ends the stage.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$(mktemp -d)
coproc STAGE { exec target/debug/stage --for-tests --port "${XUELIANG_STAGE_PORT:-8691}"; }
stage=$STAGE_PID
trap 'kill "$stage" 2>/dev/null && wait "$stage" || true; rm -rf "$folder"' EXIT
IFS= read -r -u "${STAGE[0]}" line || { echo "the stage did not start" >&2; exit 1; }
"${PYTHON:-python3}" deploy/dev/sign_in.py "$line" >"$folder/session"
url='' cookie='' csrf=''
# shellcheck source=/dev/null
. "$folder/session"
"$SCHEMATHESIS" --config-file deploy/dev/schemathesis.toml run alerting/openapi.json --url "$url" --no-color \
    --max-examples "${XUELIANG_API_EXAMPLES:-25}" -H "cookie: $cookie" -H "x-csrf-token: $csrf" --report-dir "$folder"

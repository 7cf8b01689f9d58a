#!/usr/bin/env bash
# The console's browser tests against a real system: starts the stage, runs them, ends the stage.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
coproc STAGE { exec target/debug/stage --for-tests --port "${XUELIANG_STAGE_PORT:-8690}"; }
stage=$STAGE_PID
trap 'kill "$stage" 2>/dev/null && wait "$stage" || true' EXIT
IFS= read -r -u "${STAGE[0]}" line || { echo "the stage did not start" >&2; exit 1; }
field() { python3 -c 'import json, sys; print(json.loads(sys.argv[1])[sys.argv[2]])' "$line" "$1"; }
XUELIANG_URL=$(field url)
XUELIANG_ACCOUNT=$(field account)
XUELIANG_PASSWORD=$(field password)
export XUELIANG_URL XUELIANG_ACCOUNT XUELIANG_PASSWORD
npm --prefix alerting/console run --silent e2e

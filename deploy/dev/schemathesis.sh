# shellcheck shell=bash
# Schemathesis (MIT), in an environment of its own: it needs much that nothing else here does.

SCHEMATHESIS=$CACHE/schemathesis/bin/schemathesis

part_schemathesis() {
    local list=$REPO/deploy/dev/schemathesis-requirements.txt venv=$CACHE/schemathesis version
    version=$(sha256sum "$list" | cut -c1-16)
    part_is schemathesis "$version" "$SCHEMATHESIS" && return 0
    part_venv
    part_say schemathesis "requests made up from the API's description"
    part_log schemathesis-venv "$PYTHON" -m venv --clear "$venv" || part_fail schemathesis "venv failed" "install python3-venv"
    part_log schemathesis-install "$venv/bin/python3" -m pip install --disable-pip-version-check --only-binary=:all: --no-deps -r "$list" ||
        part_fail schemathesis "the pinned packages can't be installed" "PyPI must be reachable"
    part_stamp schemathesis "$version"
}

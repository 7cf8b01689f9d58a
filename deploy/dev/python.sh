# shellcheck shell=bash
# A Python environment of the project's own, for the model converter, the numpy reference and the measurements.

PYTHON=$CACHE/python/bin/python3

# part_venv: an empty environment; other parts use its pip, so that the machine's Python stays untouched.
part_venv() {
    [[ -x $PYTHON ]] && return 0
    command -v python3 >/dev/null || part_apt "Python, to fetch wheels and models" python3
    python3 -c 'import ensurepip, venv, tomllib' 2>/dev/null || part_apt "Python's venv module" python3-venv
    python3 -c 'import tomllib' 2>/dev/null || part_fail python "Python is older than 3.11" "install Python 3.11 or newer as python3"
    part_say python "an environment of the project's own in the cache"
    part_log python-venv python3 -m venv "$CACHE/python" || part_fail python "venv failed" "install python3-venv"
}

# part_bench: what the measurements compare with, as its users have it; on demand only (install.sh bench), apart from what checks use.
part_bench() {
    local list=$REPO/bench/reference/requirements.txt venv=$CACHE/bench-python version
    version=$(sha256sum "$list" | cut -c1-16)
    part_is bench-python "$version" "$venv/bin/python3" && return 0
    part_venv
    part_say bench-python "numpy, OpenCV and ONNX Runtime, for the pipeline that xueliang bench --reference compares with"
    part_log bench-python-venv "$PYTHON" -m venv "$venv" || part_fail bench-python "venv failed" "install python3-venv"
    part_log bench-python-install "$venv/bin/python3" -m pip install --disable-pip-version-check --only-binary=:all: -r "$list" ||
        part_fail bench-python "the packages can't be installed" "PyPI must be reachable; or install $list yourself and name that Python with --python"
    part_stamp bench-python "$version"
}

part_python() {
    local lock=$REPO/deploy/dev/python-requirements.txt version
    version=$(sha256sum "$lock" | cut -c1-16)
    part_is python "$version" "$PYTHON" && return 0
    part_venv
    part_say python "numpy, onnx and ONNX Runtime, for the converter and the reference"
    part_log python-install "$PYTHON" -m pip install --disable-pip-version-check --require-hashes --only-binary=:all: -r "$lock" ||
        part_fail python "the pinned packages can't be installed" "PyPI must be reachable; Python 3.11 to 3.13 on x86-64 or arm64 is expected"
    part_stamp python "$version"
}

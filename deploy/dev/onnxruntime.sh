# shellcheck shell=bash
# ONNX Runtime: the shared library inside the wheel that PyPI carries. XUELIANG_ONNXRUNTIME names another one.

ONNXRUNTIME_VERSION=1.32.0
declare -A ONNXRUNTIME_SHA256=(
    [x86_64]=5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d
    [aarch64]=2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c
)

part_onnxruntime() {
    local library=$CACHE/onnxruntime/libonnxruntime.so arch scratch
    if [[ -n ${XUELIANG_ONNXRUNTIME:-} ]]; then
        [[ -f $XUELIANG_ONNXRUNTIME ]] ||
            part_fail onnxruntime "XUELIANG_ONNXRUNTIME names $XUELIANG_ONNXRUNTIME, which is no file" "correct the setting or unset it"
        export ORT_DYLIB_PATH=$XUELIANG_ONNXRUNTIME
        return 0
    fi
    export ORT_DYLIB_PATH=$library
    part_is onnxruntime "$ONNXRUNTIME_VERSION" "$library" && return 0
    arch=$(uname -m)
    [[ -n ${ONNXRUNTIME_SHA256[$arch]:-} ]] ||
        part_fail onnxruntime "no pinned wheel for $arch" "set XUELIANG_ONNXRUNTIME to a libonnxruntime.so of version $ONNXRUNTIME_VERSION"
    part_venv
    part_say onnxruntime "ONNX Runtime $ONNXRUNTIME_VERSION from its PyPI wheel, to run the model"
    scratch=$(part_scratch)
    printf 'onnxruntime==%s --hash=sha256:%s\n' "$ONNXRUNTIME_VERSION" "${ONNXRUNTIME_SHA256[$arch]}" >"$scratch/requirements.txt"
    # The library does not depend on Python, so one wheel is named whatever Python the machine has.
    part_log onnxruntime "$PYTHON" -m pip download --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
        --implementation cp --python-version 3.11 --platform "manylinux_2_28_$arch" -d "$scratch" -r "$scratch/requirements.txt" ||
        part_fail onnxruntime "the wheel can't be had, or is not the pinned one" "PyPI must be reachable; or set XUELIANG_ONNXRUNTIME to a libonnxruntime.so"
    "$PYTHON" -m zipfile -e "$scratch"/*.whl "$scratch/wheel"
    mkdir -p "$CACHE/onnxruntime"
    mv "$scratch/wheel/onnxruntime/capi/libonnxruntime.so.$ONNXRUNTIME_VERSION" "$library"
    mv "$scratch"/wheel/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$CACHE/onnxruntime/"
    rm -rf "$scratch"
    part_stamp onnxruntime "$ONNXRUNTIME_VERSION"
}

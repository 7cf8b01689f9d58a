# shellcheck shell=bash
# ONNX Runtime with Intel's OpenVINO, from the PyPI wheel that carries both: only for the tests of that provider. The wheel
# exists for x86-64; elsewhere, and where XUELIANG_ONNXRUNTIME_OPENVINO names a library, this part does nothing.

OPENVINO_VERSION=1.24.1
OPENVINO_SHA256=3007c803634cc69c6d52af1dea7ce729d9bb62b9a11070fd2f959119199007a8

part_openvino() {
    local folder=$CACHE/openvino scratch
    [[ -z ${XUELIANG_ONNXRUNTIME_OPENVINO:-} && $(uname -m) == x86_64 ]] || return 0
    part_is openvino "$OPENVINO_VERSION" "$folder/libonnxruntime.so" && return 0
    part_venv
    part_say openvino "ONNX Runtime $OPENVINO_VERSION with OpenVINO from its PyPI wheel, to test that provider"
    scratch=$(part_scratch)
    printf 'onnxruntime-openvino==%s --hash=sha256:%s\n' "$OPENVINO_VERSION" "$OPENVINO_SHA256" >"$scratch/requirements.txt"
    # The libraries do not depend on Python, so one wheel is named whatever Python the machine has.
    part_log openvino "$PYTHON" -m pip download --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
        --implementation cp --python-version 3.11 --platform manylinux_2_28_x86_64 -d "$scratch" -r "$scratch/requirements.txt" ||
        part_fail openvino "the wheel can't be had, or is not the pinned one" "PyPI must be reachable; or set XUELIANG_ONNXRUNTIME_OPENVINO to a libonnxruntime.so that has OpenVINO"
    "$PYTHON" -m zipfile -e "$scratch"/*.whl "$scratch/wheel"
    rm -rf "$folder"
    mkdir -p "$folder"
    mv "$scratch"/wheel/onnxruntime/capi/lib*.so* "$folder/"
    mv "$scratch"/wheel/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$folder/"
    mv "$folder/libonnxruntime.so.$OPENVINO_VERSION" "$folder/libonnxruntime.so"
    rm -rf "$scratch"
    part_stamp openvino "$OPENVINO_VERSION"
}

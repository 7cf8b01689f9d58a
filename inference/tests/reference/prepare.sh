#!/usr/bin/env bash
# Prepares what the parity test compares with: 20 frames of the footage, and the reference's boxes for each model that
# is in the cache, also at the frames' own shape where the model follows it. Usage: prepare.sh CACHE_DIR. Environment: PYTHON (has numpy, onnx and onnxruntime; default python3),
# FOOTAGE (default CACHE_DIR/footage/vtest.avi). Runs again only when something changed.
set -euo pipefail

[[ $# -eq 1 ]] || { echo "usage: prepare.sh CACHE_DIR" >&2; exit 2; }
cache=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
manifests=$(cd "$here/../../../models" && pwd)
python=${PYTHON:-python3}
footage=${FOOTAGE:-$cache/footage/vtest.avi}
parity=$cache/parity
frames=$parity/frames_768x576.i420

[[ -f $footage ]] || { echo "prepare.sh: $footage is missing: install Debian's opencv-doc and name its vtest.avi in FOOTAGE" >&2; exit 1; }
mkdir -p "$parity"
if [[ ! -s $frames ]]; then
    ffmpeg -v error -y -i "$footage" -vf 'select=not(mod(n\,40)),scale=768:576' -fps_mode passthrough -pix_fmt yuv420p -f rawvideo "$frames.part"
    mv "$frames.part" "$frames"
fi
# reference MODEL NAME [--rectangular]: the reference's boxes as parity/NAME.json.
reference() {
    local manifest=$manifests/$1.toml out=$parity/$2.json stamp
    shift 2
    stamp=$(cat "$here/reference.py" "$manifest" <(stat -c %s "$frames") | sha256sum | cut -d' ' -f1)
    [[ -s $out && $(cat "$out.stamp" 2>/dev/null) == "$stamp" ]] && return 0
    "$python" "$here/reference.py" --manifest "$manifest" --models "$cache/models" --frames "$frames" --size 768x576 --out "$out.part" "$@"
    mv "$out.part" "$out"
    echo "$stamp" >"$out.stamp"
}

for model in yolox_nano ssdlite_mobilenet_v2; do
    [[ -f $manifests/$model.toml && -f $cache/models/$model.onnx ]] || continue
    reference "$model" "$model"
    grep -q '^rectangular = true' "$manifests/$model.toml" || continue
    reference "$model" "$model.rectangular" --rectangular
done

# shellcheck shell=bash
# A busy street of 79 s from Debian's opencv-doc, re-encoded once to what cameras send: H.264 and H.265, a keyframe
# every 2 s, no B-frames. One file is taken out of the package; the package itself is not installed.

FOOTAGE_VERSION=1
FOOTAGE_SHA256=45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf
FOOTAGE_PATH=usr/share/doc/opencv-doc/examples/data/vtest.avi

part_footage() {
    local folder=$CACHE/footage scratch
    part_is footage "$FOOTAGE_VERSION" "$folder/vtest.avi" "$folder/vtest_h264.mp4" "$folder/vtest_h265.mp4" && return 0
    part_say footage "vtest.avi of Debian's opencv-doc (96 MB to fetch), re-encoded to H.264 and H.265"
    mkdir -p "$folder"
    scratch=$(part_scratch)
    part_footage_source "$scratch"
    part_footage_encode "$folder/vtest_h264.mp4" -c:v libx264 -preset veryfast -crf 23 -x264-params keyint=20:min-keyint=20:scenecut=0:bframes=0
    part_footage_encode "$folder/vtest_h265.mp4" -c:v libx265 -preset veryfast -crf 26 -tag:v hvc1 \
        -x265-params keyint=20:min-keyint=20:scenecut=0:bframes=0:open-gop=0:log-level=error
    rm -rf "$scratch"
    part_stamp footage "$FOOTAGE_VERSION"
}

# part_footage_source SCRATCH: puts vtest.avi into the cache.
part_footage_source() {
    local avi=$CACHE/footage/vtest.avi
    [[ -f $avi ]] && return 0
    if [[ -f /$FOOTAGE_PATH ]]; then
        cp "/$FOOTAGE_PATH" "$1/vtest.avi"
    else
        (cd "$1" && part_footage_package) ||
            part_fail footage "Debian's opencv-doc can't be had" "check the package sources, or put vtest.avi of OpenCV's samples at $avi"
    fi
    [[ $(sha256sum "$1/vtest.avi" | cut -d' ' -f1) == "$FOOTAGE_SHA256" ]] ||
        part_fail footage "vtest.avi is not the file that the tests were written for" "take opencv-doc of Debian 12"
    mv "$1/vtest.avi" "$avi"
}

part_footage_package() {
    # apt's download user may not write here as root's guest; its warning about that is harmless.
    part_log footage-download apt-get download -q opencv-doc ||
        { part_log apt-update apt-get update -q && part_log footage-download apt-get download -q opencv-doc; } || return 1
    dpkg-deb --fsys-tarfile opencv-doc_*.deb | tar -xO "./$FOOTAGE_PATH" >vtest.avi
}

# part_footage_encode TARGET FFMPEG_OPTION...
part_footage_encode() {
    local target=$1
    shift
    part_log "footage-$(basename "$target")" ffmpeg -hide_banner -loglevel error -y -i "$CACHE/footage/vtest.avi" -an -pix_fmt yuv420p -bf 0 "$@" "$target.part.mp4" ||
        part_fail footage "ffmpeg can't encode $(basename "$target")" "install Debian's ffmpeg with libx264 and libx265"
    mv "$target.part.mp4" "$target"
}

# shellcheck shell=bash
# Debian packages: only those that are missing, and the package lists are fetched only then.

APT_BUILD=(ca-certificates pkg-config make gcc g++ libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
    libavcodec-dev libavformat-dev libavutil-dev libswscale-dev libclang-dev)
APT_RUN=(gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav libgstrtspserver-1.0-0)
APT_FOOTAGE=(ffmpeg)
APT_BROWSER=(chromium fonts-noto-cjk)
APT_CHECK=(shellcheck util-linux openssl faketime)
APT_MQTT=(mosquitto)

part_apt_demo() { part_apt "compilers, GStreamer, libavcodec and ffmpeg, to build and to play cameras" "${APT_BUILD[@]}" "${APT_RUN[@]}" "${APT_FOOTAGE[@]}"; }
part_apt_check() { part_apt "shellcheck for the scripts, setpriv, openssl and libfaketime for the tests" "${APT_CHECK[@]}"; }
part_mqtt() { part_apt "Mosquitto, the MQTT broker of the sensor tests" "${APT_MQTT[@]}"; }
part_browser() { part_apt "Chromium and CJK fonts, to test the console" "${APT_BROWSER[@]}"; }

# part_java: Java and Maven only where the machine has none.
part_java() {
    local packages=()
    command -v java >/dev/null || packages+=(openjdk-17-jre-headless)
    command -v mvn >/dev/null || packages+=(maven)
    [[ ${#packages[@]} -eq 0 ]] || part_apt "Java and Maven, to fetch and run Kafka" "${packages[@]}"
}

# part_apt WHY PACKAGE...
part_apt() {
    local why=$1 missing=() package
    shift
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    part_say apt "${missing[*]} ($why)"
    [[ $(id -u) -eq 0 ]] || part_fail apt "not root" "run as root: apt-get install --no-install-recommends ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    part_log apt-update apt-get update -q ||
        part_fail apt "the package lists can't be fetched" "check the network and /etc/apt/sources.list, then run again"
    part_log apt-install apt-get install -q -y --no-install-recommends "${missing[@]}" ||
        part_fail apt "not every package could be installed" "read the lines above; on another distribution install the same libraries by hand"
}

# shellcheck shell=bash
# The parts that ./demo and ./check need beside the source, each installed once into the cache folder.
#
# A part is a function `part_NAME`. It says in one line what it installs and why, returns at once when the part is there,
# and otherwise ends its (sub)shell with the cause and the cure. Versions and hashes stand at the top of each file.
# Settings, all optional: XUELIANG_CACHE (cache folder), XUELIANG_ONNXRUNTIME (another libonnxruntime.so),
# XUELIANG_MODEL_MIRROR (folder or URL that holds models), XUELIANG_MODEL (manifest to use).

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${XUELIANG_CACHE:-$REPO/.cache}
mkdir -p "$CACHE"
CACHE=$(cd "$CACHE" && pwd)
export XUELIANG_CACHE=$CACHE

# part_say NAME TEXT: one line of progress.
part_say() {
    printf '  %-12s %s\n' "$1" "$2" >&2
}

# part_fail NAME CAUSE CURE: ends the shell. Parts run in a subshell where the caller wants to go on.
part_fail() {
    printf '  %-12s failed: %s\n  %-12s cure:   %s\n' "$1" "$2" '' "$3" >&2
    exit 1
}

# part_is NAME VERSION FILE...: is the part stamped with this version, and are its files there?
part_is() {
    local stamp=$CACHE/stamps/$1 version=$2
    shift 2
    [[ -f $stamp && $(<"$stamp") == "$version" ]] || return 1
    local file
    for file in "$@"; do
        [[ -e $file ]] || return 1
    done
}

# part_stamp NAME VERSION: the last step of an installation.
part_stamp() {
    mkdir -p "$CACHE/stamps"
    printf '%s\n' "$2" >"$CACHE/stamps/$1"
}

# part_scratch: an empty folder inside the cache, on the same file system as what is moved out of it.
part_scratch() {
    mkdir -p "$CACHE/scratch"
    mktemp -d "$CACHE/scratch/XXXXXX"
}

# part_log NAME COMMAND...: runs with the output in a file, and shows its end when the command fails.
part_log() {
    local log=$CACHE/logs/$1.log
    shift
    mkdir -p "$CACHE/logs"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        printf '  --- last lines of %s ---\n' "$log" >&2
        tail -n 15 "$log" | sed 's/^/  | /' >&2
        return 1
    fi
}

for part_file in rust apt postgres python schemathesis oidc onnxruntime openvino node models footage kafka cargo_deny console; do
    # shellcheck source=/dev/null
    . "$REPO/deploy/dev/$part_file.sh"
done
unset part_file

# part_settings: what the parts exported, for a shell that did not run them itself.
part_settings() {
    local name
    for name in XUELIANG_CACHE XUELIANG_MODEL ORT_DYLIB_PATH PYTHON SCHEMATHESIS XUELIANG_TEST_OIDC PATH; do
        [[ -z ${!name:-} ]] || printf 'export %s=%q\n' "$name" "${!name}"
    done
}

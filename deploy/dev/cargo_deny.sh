# shellcheck shell=bash
# cargo-deny, built from crates.io: checks licences, sources and duplicates of the dependencies.

CARGO_DENY_VERSION=0.20.2

part_cargo_deny() {
    local root=$CACHE/cargo-deny
    export PATH=$root/bin:$PATH
    part_is cargo_deny "$CARGO_DENY_VERSION" "$root/bin/cargo-deny" && return 0
    part_say cargo-deny "cargo-deny $CARGO_DENY_VERSION built from crates.io, to check licences (takes minutes, once)"
    part_log cargo-deny env CARGO_TARGET_DIR="$CACHE/scratch/cargo-deny" cargo install cargo-deny --locked --version "$CARGO_DENY_VERSION" --root "$root" ||
        part_fail cargo-deny "it can't be built" "crates.io must be reachable"
    rm -rf "$CACHE/scratch/cargo-deny"
    part_stamp cargo_deny "$CARGO_DENY_VERSION"
}

# shellcheck shell=bash
# The Rust toolchain is the one thing that is not installed here: it is the machine owner's choice where it comes from.

RUST_WANTED=1.95

part_rust() {
    local version
    command -v cargo >/dev/null || part_fail rust "there is no cargo" "install Rust $RUST_WANTED or newer (https://rustup.rs)"
    version=$(rustc --version | cut -d' ' -f2)
    [[ $(printf '%s\n%s\n' "$RUST_WANTED" "$version" | sort -V | head -n 1) == "$RUST_WANTED" ]] ||
        part_fail rust "rustc is $version" "install Rust $RUST_WANTED or newer (https://rustup.rs)"
}

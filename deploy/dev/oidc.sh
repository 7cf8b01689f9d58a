# shellcheck shell=bash
# oidc-provider (MIT), a certified OpenID provider, for the tests of signing in by one.

XUELIANG_TEST_OIDC=$CACHE/oidc

part_oidc() {
    local sources=$REPO/deploy/dev/oidc version
    version=$(cat "$sources"/* | sha256sum | cut -c1-16)
    part_is oidc "$version" "$XUELIANG_TEST_OIDC/node_modules" && return 0
    part_node
    part_say oidc "an identity provider from npm"
    rm -rf "$XUELIANG_TEST_OIDC"
    cp -r "$sources" "$XUELIANG_TEST_OIDC"
    (cd "$XUELIANG_TEST_OIDC" && part_log oidc-npm npm ci --no-audit --no-fund) ||
        part_fail oidc "npm ci failed" "the npm registry must be reachable"
    part_stamp oidc "$version"
}

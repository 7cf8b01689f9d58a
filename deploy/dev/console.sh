# shellcheck shell=bash
# The console's web build: packages by `npm ci`, and a new bundle only when a source changed.

CONSOLE=$REPO/alerting/console

# part_console_packages: node_modules as package-lock.json says.
part_console_packages() {
    local version
    version=$(sha256sum "$CONSOLE/package-lock.json" | cut -c1-16)
    [[ -f $CONSOLE/node_modules/.xueliang && $(<"$CONSOLE/node_modules/.xueliang") == "$version" ]] && return 0
    part_node
    part_say console "packages of the console from npm"
    (cd "$CONSOLE" && part_log console-npm npm ci --no-audit --no-fund) ||
        part_fail console "npm ci failed" "the npm registry must be reachable"
    printf '%s\n' "$version" >"$CONSOLE/node_modules/.xueliang"
}

part_console() {
    local stamp=$CONSOLE/dist/.sources version
    version=$(part_console_version)
    [[ -f $stamp && $(<"$stamp") == "$version" ]] && return 0
    part_node
    part_console_packages
    part_say console "the console's web bundle"
    (cd "$CONSOLE" && part_log console-build npm run build) || part_fail console "its build failed" "read the lines above"
    printf '%s\n' "$version" >"$stamp"
}

# part_console_version: a hash over every source of the bundle.
part_console_version() {
    (cd "$CONSOLE" && find . \( -name node_modules -o -name dist -o -name test-results -o -name playwright-report \) -prune -o -type f -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
}

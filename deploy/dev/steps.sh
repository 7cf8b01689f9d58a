# shellcheck shell=bash
# Steps of ./check: each is timed and logged, a failure doesn't hide the steps after it, and all are counted at the end.

n_passed=0
n_failed=0
n_skipped=0
step_rows=()

# step NAME COMMAND...: one check that passes or fails.
step() {
    local name=$1
    shift
    if run_step "$name" "$@"; then
        n_passed=$((n_passed + 1))
    else
        n_failed=$((n_failed + 1))
    fi
}

# suite NAME COMMAND...: a test runner whose own counts are added. One that fails without a failed test counts as one.
suite() {
    local name=$1 passed failed skipped ok=0
    shift
    run_step "$name" "$@" || ok=1
    read -r passed failed skipped < <(count_tests "$CACHE/logs/check-$name.log")
    [[ $ok -eq 0 || $failed -gt 0 ]] || failed=1
    n_passed=$((n_passed + passed))
    n_failed=$((n_failed + failed))
    n_skipped=$((n_skipped + skipped))
}

run_step() {
    local name=$1 log=$CACHE/logs/check-$1.log begun=$SECONDS outcome=ok status=0
    shift
    mkdir -p "$CACHE/logs"
    printf '%-14s …\n' "$name" >&2
    run_group "$@" >"$log" 2>&1 || status=$?
    if [[ $status -ne 0 ]]; then
        outcome=FAILED
        printf '  --- %s failed (status %s); %s ends:\n' "$name" "$status" "$log" >&2
        grep -E '^(error|warning|failures:|test .* FAILED|---- )|panicked at|signal: |✗|×|FAIL|not ok' "$log" | head -n 40 | sed 's/^/  ! /' >&2
        tail -n 40 "$log" | sed 's/^/  | /' >&2
    fi
    { grep -o 'SKIPPED: .*' "$log" || true; } | sed 's/^/  /' >&2
    step_rows+=("$(printf '%-14s %-7s %5d s' "$name" "$outcome" $((SECONDS - begun)))")
    printf '%s\n' "${step_rows[-1]}" >&2
    return "$status"
}

# count_tests LOG: passed, failed and skipped, as cargo test and vitest print them. A test that passed and says SKIPPED ran nothing.
count_tests() {
    sed 's/\x1b\[[0-9;]*m//g' "$1" | awk '
        /^test result:/ { for (i = 1; i < NF; i++) { if ($(i+1) ~ /^passed/) p += $i; if ($(i+1) ~ /^failed/) f += $i; if ($(i+1) ~ /^ignored/) s += $i } }
        /^ *Tests  / { for (i = 1; i < NF; i++) { if ($(i+1) ~ /^passed/) p += $i; if ($(i+1) ~ /^failed/) f += $i; if ($(i+1) ~ /^(skipped|todo)/) s += $i } }
        /SKIPPED: / { s += 1; p -= 1 }
        END { printf "%d %d %d\n", p, f, s }'
}

# advisories: known holes in dependencies, where their database can be had.
advisories() {
    local deny=$CACHE/cargo-deny/bin/cargo-deny
    if timeout 60 "$deny" --locked fetch db >"$CACHE/logs/check-advisories.log" 2>&1 </dev/null; then
        step advisories "$deny" --locked check advisories
    else
        echo "advisories     skipped: the advisory database can't be reached from here" >&2
        n_skipped=$((n_skipped + 1))
    fi
}

summary() {
    printf '\n' >&2
    printf '%s\n' "${step_rows[@]}" >&2
    printf 'all            %13d s\n' "$SECONDS" >&2
    echo "$n_passed passed, $n_failed failed, $n_skipped skipped"
    [[ $n_failed -eq 0 ]]
}

# shellcheck shell=bash
# Runs commands in a process group of their own, so that whatever ends this script ends all they started.

group_pid=

group_end() {
    [[ -n $group_pid ]] || return 0
    kill -TERM -- "-$group_pid" 2>/dev/null
    local waited
    for waited in {1..50}; do
        kill -0 -- "-$group_pid" 2>/dev/null || break
        sleep 0.1
    done
    [[ $waited -lt 50 ]] || kill -KILL -- "-$group_pid" 2>/dev/null
    group_pid=
}

trap 'group_end' EXIT
trap 'echo "interrupted" >&2; exit 130' INT
trap 'exit 143' TERM HUP

# run_group COMMAND...: waits for it, and its status is the command's. Redirections of the caller apply.
run_group() {
    local status=0
    setsid setpriv --pdeathsig TERM -- "$@" </dev/null &
    group_pid=$!
    # A trapped signal interrupts `wait`, not the command; the trap then ends the group.
    wait "$group_pid" || status=$?
    group_end
    return "$status"
}

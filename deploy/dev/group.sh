# shellcheck shell=bash
# Runs commands in a process group of their own, so that whatever ends this script ends all they started.

group_pid=

group_end() {
    [[ -n $group_pid ]] || return 0
    local group=$group_pid waited
    group_pid=
    # No such group: all of it has ended.
    kill -TERM -- "-$group" 2>/dev/null || return 0
    for waited in {1..100}; do
        sleep 0.1
        kill -0 -- "-$group" 2>/dev/null || return 0
    done
    echo "killing what did not end in ${waited:0:-1} s" >&2
    kill -KILL -- "-$group" 2>/dev/null || true
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

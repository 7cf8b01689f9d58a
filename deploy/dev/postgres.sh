# shellcheck shell=bash
# A throw-away PostgreSQL of Debian's package for the tests that run on both stores.
#
#   . deploy/dev/parts.sh; postgres_start; cargo test -p xueliang-alerting; postgres_stop
#
# It listens on a socket in a new folder only, and belongs to the user postgres, for the server refuses to run as root.
# Exports XUELIANG_TEST_POSTGRES=FOLDER:PORT.

APT_POSTGRES=(postgresql postgresql-client)
postgres_folder=

# No cluster of Debian's own is made or started: the tests have theirs.
part_postgres() {
    mkdir -p /etc/postgresql-common
    [[ -f /etc/postgresql-common/createcluster.conf ]] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    part_apt "PostgreSQL, alerting's store in a city" "${APT_POSTGRES[@]}"
}

postgres_programs() {
    local programs
    for programs in /usr/lib/postgresql/*/bin; do
        [[ -x $programs/initdb ]] && echo "$programs" && return 0
    done
    part_fail postgres "no initdb in /usr/lib/postgresql" "install Debian's package postgresql"
}

postgres_as() { setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; }

postgres_start() {
    local programs
    programs=$(postgres_programs) || return 1
    postgres_folder=$(mktemp -d /tmp/xueliang-postgres.XXXXXX)
    chown postgres "$postgres_folder"
    postgres_as "$programs/initdb" -D "$postgres_folder/data" -U postgres -A trust --no-locale -E UTF8 >"$postgres_folder/initdb.log" || return 1
    # Without fsync: what these tests lose with the machine is theirs.
    postgres_as "$programs/pg_ctl" -D "$postgres_folder/data" -w -l "$postgres_folder/log" \
        -o "-k $postgres_folder -p 5432 -c listen_addresses= -c fsync=off -c max_connections=300" start >/dev/null || return 1
    export XUELIANG_TEST_POSTGRES=$postgres_folder:5432
}

postgres_stop() {
    [[ -n $postgres_folder ]] || return 0
    local programs
    programs=$(postgres_programs) || return 1
    postgres_as "$programs/pg_ctl" -D "$postgres_folder/data" -m immediate -w stop >/dev/null || true
    rm -rf "$postgres_folder"
    postgres_folder=
    unset XUELIANG_TEST_POSTGRES
}

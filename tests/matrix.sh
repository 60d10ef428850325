#!/usr/bin/env bash
# Runs what is compared with the real Label Studio on several of its versions and of PostgreSQL's,
# prints the grid, and holds docs/compatibility.md against it. The versions of Label Studio that
# follow 1.18 need PostgreSQL 14. Dumps are restored into newer servers.
# On more versions, on one server: the scenarios, payloads that must not be read too early, and events
# that must not be lost with their rows. And Label Studio is upgraded from version to version, which must
# announce nothing.
# usage: matrix.sh; LABEL_STUDIO and POSTGRES list the versions, RESTORES the dumps as FROM:INTO,
#        UPGRADES the versions to go through, chains of them with commas between, BETWEEN more versions
set -euo pipefail
cd "$(dirname "$0")/.."
studios=${LABEL_STUDIO:-1.13.1 1.18.0 1.23.2}
servers=${POSTGRES:-13 14 15 16 17 18}
restores=${RESTORES-13:18 14:17 15:16 15:18}
# Of 1.8, 1.10 cannot migrate a database that has projects: its own migration recurses for ever.
upgrades=${UPGRADES-1.10.0 1.11.0 1.12.1 1.13.1 1.14.0 1.15.0 1.16.0 1.17.0 1.18.0 1.19.0 1.20.0 1.21.0 1.22.0 1.23.2, 1.8.2.post1 1.12.1 1.23.2}
between=${BETWEEN-1.8.2.post1 1.10.0 1.11.0 1.12.1 1.13.1 1.14.0 1.15.0 1.16.0 1.17.0 1.18.0 1.19.0 1.20.0 1.21.0 1.22.0 1.23.2}
tables=(tour imports annotations data_manager projects storages labels values_that_bite interfaces clients workers)
others=(capture events delivery)
logs=target/matrix
grid=$PWD/$logs/grid
mkdir -p "$logs"
: >"$grid"

# shellcheck disable=SC2086
tests/testbed/setup.sh --parts $studios ${upgrades//,/ } $between
# shellcheck disable=SC2086
tests/testbed/setup-postgres.sh $servers ${restores//:/ } 15
cargo test --test real --no-run --quiet
export RUST_BACKTRACE=0

run() { # STUDIO SERVER LOG TEST ...
    LSHOOKD_TEST_LABEL_STUDIO=$1 LSHOOKD_TEST_POSTGRES_BIN=$PWD/.cache/postgres-$2/bin \
        cargo test --quiet --test real -- --format=pretty "${@:4}" >"$3" 2>&1
}
says() { # yes|NO: whether the log has tests of this name and they all passed
    if grep -qE "^test $2.* ok$" "$1" && ! grep -qE "^test $2.* FAILED$" "$1"; then echo yes; else echo NO; fi
}

failed=0
printf '%-14s%-12s' 'Label Studio' PostgreSQL
printf '%-18s' "${tables[@]}" "${others[@]}"
echo
for studio in $studios; do
    for server in $servers; do
        case $studio in
        1.19* | 1.2*) [ "$server" -ge 14 ] || continue ;;
        esac
        log=$logs/$studio-$server.log
        run "$studio" "$server" "$log" _as_claimed "${others[@]/%/::}" || failed=1
        cells=()
        for table in "${tables[@]}"; do cells+=("$(says "$log" "label_studio::(the_)?${table}_compares?_as_claimed")"); done
        for other in "${others[@]}"; do cells+=("$(says "$log" "$other::")"); done
        printf '%-14s%-12s' "$studio" "$server"
        printf '%-18s' "${cells[@]}"
        echo
        echo "$studio $server ${cells[*]}" >>"$grid"
    done
done
for restore in $restores; do
    from=${restore%:*} into=${restore#*:}
    studio=${studios##* }
    [ "$from" -ge 14 ] || studio=${studios%% *}
    log=$logs/restore-$from-$into.log
    LSHOOKD_TEST_RESTORE_BIN=$PWD/.cache/postgres-$into/bin run "$studio" "$from" "$log" a_dump_that_is_restored || failed=1
    cell=$(says "$log" upgrade::a_dump)
    printf '%-14sa dump of PostgreSQL %s restored into %s: %s\n' "$studio" "$from" "$into" "$cell"
    echo "$studio $from:$into $cell" >>"$grid"
done
for studio in $between; do
    log=$logs/$studio-15.log
    run "$studio" 15 "$log" _as_claimed payloads:: gone:: || failed=1
    cells="$(says "$log" label_studio::) $(says "$log" payloads::) $(says "$log" gone::)"
    echo "Label Studio $studio, scenarios, payloads, rows that are gone: $cells"
    echo "$studio between $cells" >>"$grid"
done
IFS=, read -ra chains <<<"$upgrades"
for chain in "${chains[@]}"; do
    log=$logs/upgrades-$(tr -s ' ' - <<<"$chain").log
    LSHOOKD_TEST_UPGRADES=$chain cargo test --quiet --test real -- --format=pretty upgrade::no_upgrade >"$log" 2>&1 || failed=1
    echo "upgrades through $chain: $(says "$log" upgrade::no_upgrade)"
done
LSHOOKD_TEST_GRID=$grid cargo test --quiet --test real -- the_documents || failed=1
exit $failed

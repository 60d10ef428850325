#!/usr/bin/env bash
# Runs what is compared with the real Label Studio on several of its versions and of PostgreSQL's,
# and prints the grid. The versions of Label Studio that follow 1.18 need PostgreSQL 14.
# usage: matrix.sh; LABEL_STUDIO and POSTGRES list the versions
set -euo pipefail
cd "$(dirname "$0")/.."
studios=${LABEL_STUDIO:-1.13.1 1.18.0 1.23.2}
servers=${POSTGRES:-13 14 15 16 17 18}
tables=(tour imports annotations data_manager projects storages labels values_that_bite)
logs=target/matrix
mkdir -p "$logs"

# shellcheck disable=SC2086
tests/testbed/setup.sh $studios
# shellcheck disable=SC2086
tests/testbed/setup-postgres.sh $servers
cargo test --test real --no-run --quiet

cell() { # LOG TABLE
    if grep -qE "label_studio::(the_)?$2_compares?_as_claimed ... ok" "$1"; then echo yes; else echo NO; fi
}

failed=0
printf '%-14s%-12s' 'Label Studio' PostgreSQL
printf '%-18s' "${tables[@]}"
echo
for studio in $studios; do
    for server in $servers; do
        case $studio in
        1.19* | 1.2*) [ "$server" -ge 14 ] || continue ;;
        esac
        log=$logs/$studio-$server.log
        LSHOOKD_TEST_LABEL_STUDIO=$studio LSHOOKD_TEST_POSTGRES_BIN=$PWD/.cache/postgres-$server/bin RUST_BACKTRACE=0 \
            cargo test --quiet --test real -- --format=pretty label_studio capture events delivery >"$log" 2>&1 || failed=1
        printf '%-14s%-12s' "$studio" "$server"
        for table in "${tables[@]}"; do printf '%-18s' "$(cell "$log" "$table")"; done
        grep -o 'test result: [a-zA-Z]*. [0-9]* passed; [0-9]* failed' "$log" | tail -n 1 | sed 's/test result: //'
    done
done
exit $failed

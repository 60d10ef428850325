#!/usr/bin/env bash
# Injects each fault often and under load, and prints what came of it. A row that does not balance
# fails the run.
# usage: faults.sh; LSHOOKD_TEST_FAULTS is how many annotations are written at least for each
set -euo pipefail
cd "$(dirname "$0")/.."
tests/testbed/setup.sh --parts "${LSHOOKD_TEST_LABEL_STUDIO:-1.23.2}"
cargo test --quiet --release --test real --no-run
export RUST_BACKTRACE=0 LSHOOKD_TEST_FAULTS=${LSHOOKD_TEST_FAULTS:-10000}
printf '%-58s %9s %9s %6s %7s %10s %12s %13s\n' fault committed delivered lost phantom duplicated 'out of order' 'longest write'
# What the runner says beside the rows is left out, its verdict is not.
cargo test --quiet --release --test real -- --format=pretty --test-threads=1 --nocapture faults:: 2>&1 |
    sed -uE 's/^test faults::[a-z_:]+ \.\.\. //' | { grep --line-buffered -vE '^(PostgreSQL:.*|running .*|ok|)$' || true; }

#!/usr/bin/env bash
# Installs what the tests and the demo need and this machine lacks: a C compiler, PostgreSQL and
# Python's venv from Debian's packages, and the given versions of Label Studio from PyPI into
# virtual environments in the cache; with --parts also what only tests put beside it, PgBouncer,
# Redis, NATS, Prometheus's promtool, libfaketime, Go, Chromium, and programs in Python and for Node. Says what it does; a second run does nothing.
# usage: setup.sh [--parts] VERSION ...
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${LSHOOKD_TEST_CACHE:-.cache}
mkdir -p "$cache"
with_parts=
if [ "${1:-}" = --parts ]; then
    with_parts=yes
    shift
fi

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

updated=
apt_install() {
    say "installing Debian's $* (apt-get)"
    if [ -z "$updated" ]; then
        as_root apt-get update -qq
        updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

have_postgres() {
    [ -n "${LSHOOKD_TEST_DATABASE_URL:-}" ] || [ -n "${LSHOOKD_TEST_POSTGRES_BIN:-}" ] ||
        command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

command -v cc >/dev/null || apt_install gcc libc6-dev
if ! have_postgres && ! docker info >/dev/null 2>&1; then
    # Debian would start a server on the well-known port; the tests start their own.
    apt_install postgresql-common
    as_root sed -i "s/^#\?create_main_cluster.*/create_main_cluster = false/" /etc/postgresql-common/createcluster.conf
    apt_install postgresql
fi
command -v runuser >/dev/null || apt_install util-linux
command -v pg_dump >/dev/null || apt_install postgresql-client
python3 -c 'import venv, ensurepip' 2>/dev/null || apt_install python3-venv

install_parts() {
    if [ ! -x /usr/sbin/pgbouncer ]; then
        apt_install pgbouncer
        # Debian starts one on the well-known port; the tests start their own.
        as_root service pgbouncer stop >/dev/null 2>&1 || true
    fi
    if ! command -v redis-server >/dev/null; then
        apt_install redis-server
        as_root service redis-server stop >/dev/null 2>&1 || true
    fi
    if ! command -v nats-server >/dev/null; then
        apt_install nats-server
        as_root service nats-server stop >/dev/null 2>&1 || true
    fi
    if ! command -v promtool >/dev/null; then
        apt_install prometheus
        as_root service prometheus stop >/dev/null 2>&1 || true
    fi
    command -v pgrep >/dev/null || apt_install procps
    command -v ip >/dev/null || apt_install iproute2
    command -v openssl >/dev/null || apt_install openssl
    command -v curl >/dev/null || apt_install curl
    ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || apt_install libfaketime
    command -v go >/dev/null || apt_install golang-go
    command -v npm >/dev/null || apt_install npm
    command -v chromium >/dev/null || apt_install chromium
    local node='standardwebhooks@1.1.1 playwright-core@1.65.1 axe-core@4.14.1'
    if [ "$(cat "$cache/node-parts/complete" 2>/dev/null)" != "$node" ]; then
        say "installing standardwebhooks, playwright-core and axe-core from npm into $cache/node-parts"
        # shellcheck disable=SC2086
        npm install --silent --no-audit --no-fund --prefix "$cache/node-parts" $node
        echo "$node" >"$cache/node-parts/complete"
    fi
    local parts=$cache/python-parts
    local wanted='moto[server]==5.2.5 label-studio-ml==1.0.9 rq==1.10.1 standardwebhooks==1.1.0 opentelemetry-proto==1.45.2'
    if [ "$(cat "$parts/complete" 2>/dev/null)" != "$wanted" ]; then
        say "installing an S3-compatible store (moto), label-studio-ml, standardwebhooks and OpenTelemetry's classes from PyPI into $parts"
        rm -rf "$parts"
        python3 -m venv "$parts"
        # shellcheck disable=SC2086
        "$parts/bin/pip" install --quiet --disable-pip-version-check $wanted
        echo "$wanted" >"$parts/complete"
    fi
    parts=$cache/client-parts
    wanted='hatchling==1.33.0 build==1.6.1 datamodel-code-generator==0.89.0 httpx==0.28.1 pydantic==2.14.4
        standardwebhooks==1.1.0 pytest==9.2.0 mypy==2.4.1 ruff==0.17.6 schemathesis==4.32.5 fastapi==0.165.0
        starlette==1.10.0 flask==3.1.3 django==5.2.19 sqlalchemy==2.1.9 tqdm==4.70.1 types-tqdm==4.70.0.20261106
        label-studio-sdk==2.1.2'
    if [ "$(cat "$parts/complete" 2>/dev/null)" != "$wanted" ]; then
        say "installing what builds and tests clients/python from PyPI into $parts"
        rm -rf "$parts"
        python3 -m venv "$parts"
        # shellcheck disable=SC2086
        "$parts/bin/pip" install --quiet --disable-pip-version-check $wanted
        echo "$wanted" >"$parts/complete"
    fi
}
[ -z "$with_parts" ] || install_parts

for version in "$@"; do
    folder=$cache/label-studio-$version
    [ -e "$folder/complete" ] && continue
    say "installing Label Studio $version from PyPI into $folder (about a minute)"
    rm -rf "$folder"
    python3 -m venv "$folder"
    # Older versions rely on pkg_resources, which setuptools has dropped, and do not say so.
    pip() { "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"; }
    pip 'setuptools<81' "label-studio==$version" 2>/dev/null || pip "label-studio==$version"
    touch "$folder/complete"
done

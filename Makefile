# Every target does its own set-up on a machine with Rust (stable), Python >= 3.11 and make.
# Environments: .venv for tests and lint, .venv-demo as a user would have it, .venv-bench with the
# peers: torch and others; STEELYARD_BENCH_PYTHON may name an interpreter that has them (and pytest, pytest-xdist, hypothesis, ml-dtypes).

.DEFAULT_GOAL := help
.PHONY: help demo demo-losses test test-rust test-python test-torch test-distributed test-foreign test-campaigns test-sanitizer lint bench coverage clean
.DELETE_ON_ERROR:
# An activated environment of the caller's must not be the one that is built into.
unexport VIRTUAL_ENV CONDA_PREFIX
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
SECONDS ?= 10
# Processes that share the Python tests, a file each at a time.
WORKERS ?= auto
SHARED := -n $(WORKERS) --dist loadfile
SEED ?= 1
export PIP_QUIET := 1
PIP := python -m pip install --disable-pip-version-check
PEERS := $(or $(STEELYARD_BENCH_PYTHON),.venv-bench/bin/python)
SOURCES := pyproject.toml Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)
# Prints a line before each slow step, since pip and cargo run silently.
say = @echo "--- $(1)"
FACE := $(shell find python -name '*.py' -o -name '*.pyi')

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: .venv-demo/.built  ## Run the main job on data that ships with the project
	$(call say,the demo: trains and evaluates a small network; about half a minute)
	.venv-demo/bin/python -m examples.demo

demo-losses: .venv-demo/.built  ## Tune the demo's network by three preference losses and compare them
	$(call say,the demo's network tuned by three losses; about a minute)
	.venv-demo/bin/python -m examples.demo losses

test: test-rust test-python  ## Rust and Python tests

test-rust:  ## Tests of the kernels
	$(call say,tests of the kernels; the first build takes about two minutes)
	cargo test --quiet --locked --profile quick --package steelyard-kernels

test-python: .venv/.built  ## Tests of the package
	$(call say,tests of the package; about ten minutes on two cores)
	.venv/bin/python -m pytest --quiet $(SHARED)

test-torch: .venv/.built .venv-bench/.peers  ## torch's bits and torch's tensors (installs torch; about 5 GB)
	$(call say,tests against torch and the libraries that train with it; some minutes)
	PYTHONPATH=$(CURDIR)/python $(PEERS) -m pytest --quiet $(SHARED) tests/torch

test-distributed: .venv/.built .venv-distributed/.packages  ## The same bits on Dask's and Spark's worker processes (installs both, and Java)
	$(call say,tests on local clusters of Dask and Spark; two minutes)
	JAVA_HOME=$$(tests/distributed/java.sh .venv-distributed/java) PYTHONPATH=$(CURDIR)/python \
		.venv-distributed/bin/python -m pytest --quiet tests/distributed

test-foreign:  ## Kernels' bits on aarch64 and on an x86-64 without FMA, under QEMU
	$(call say,the kernels' digests under QEMU; two to five minutes)
	tests/foreign/run.sh

test-campaigns: .venv/.built  ## Every campaign of tests/campaigns, SECONDS (10) each (six times for files), from the same SEED (1) on
	$(call say,campaigns of random calls: $(SECONDS) seconds each and six times that for files)
	for file in tests/campaigns/[a-z]*.py; do name=$$(basename "$$file" .py); \
		.venv/bin/python -m "tests.campaigns.$$name" --seed $(SEED) \
			--seconds "$$(( $(SECONDS) * ( $$( [ "$$name" = files ] && echo 6 || echo 1 ) ) ))"; done
	cargo run --quiet --locked --release --no-default-features --manifest-path rust/fuzz/Cargo.toml --bin mutate -- $(SECONDS) $(SEED)

test-sanitizer: .venv/.built  ## Borrowed memory under AddressSanitizer (needs a nightly toolchain and gcc)
	$(call say,borrowed memory under AddressSanitizer; two minutes)
	PEERS=$(PEERS) tests/sanitizer/run.sh

lint: .venv/.built  ## Formatting, lints, types, stubs
	$(call say,formatting and clippy and types and stubs; about a minute)
	cargo fmt --all --check
	PYO3_PYTHON=$(CURDIR)/.venv/bin/python cargo clippy --quiet --locked --workspace --all-targets -- --deny warnings
	cargo check --quiet --locked --no-default-features --all-targets --manifest-path rust/fuzz/Cargo.toml
	RUSTDOCFLAGS='--deny warnings' cargo doc --quiet --locked --no-deps --package steelyard-kernels
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy --strict
	.venv/bin/python -m mypy.stubtest --allowlist tests/stubtest-allowlist.txt steelyard._core
	@echo "lint: all clean"

bench: .venv-bench/.built .venv-bench/.bootstraps  ## Measure every claim beside its peer; rewrite the README's table
	$(call say,the benchmark rows: about four minutes)
	PYTHONPATH=$(CURDIR)/.venv-bench/site $(PEERS) -m benches.run

coverage: .venv/.built  ## Draw again every table of docs/coverage.md
	$(call say,simulating every table of docs/coverage.md: a quarter of an hour or more)
	.venv/bin/python -m tests.coverage

clean:  ## Remove everything that make has made
	rm -rf target .venv .venv-demo .venv-bench .venv-distributed .foreign .pytest_cache .mypy_cache .ruff_cache .hypothesis demo-output
	rm -f python/steelyard/_core*.so

# ---- environments: a stamp file marks a finished environment; it is made again where a prerequisite is newer ----

%/.made:
	@test -n "$(PYTHON)" || { echo "steelyard needs Python 3.11 or newer: none found; set PYTHON=..." >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "steelyard needs a stable Rust toolchain (cargo): none found" >&2; exit 1; }
	$(call say,a new environment in $*)
	$(PYTHON) -m venv $*
	$*/bin/$(PIP) --upgrade pip
	touch $@

.venv/.built: .venv/.made $(SOURCES)
	$(call say,building the core into .venv: two minutes the first time and less after a change)
	.venv/bin/$(PIP) 'maturin>=1.14,<2'
	VIRTUAL_ENV=$(CURDIR)/.venv .venv/bin/maturin develop --quiet --locked --profile quick
	$(call say,installing what tests and lint need: one or two minutes the first time)
	.venv/bin/$(PIP) 'steelyard[dev]'
	touch $@

.venv-distributed/.packages: .venv-distributed/.made tests/distributed/requirements.txt
	$(call say,installing Dask and Spark: two minutes)
	.venv-distributed/bin/$(PIP) -r tests/distributed/requirements.txt
	touch $@

.venv-demo/.built: .venv-demo/.made $(SOURCES) $(FACE)
	$(call say,building a release wheel and installing it as a user would: two or three minutes)
	.venv-demo/bin/$(PIP) '.[cli]'
	touch $@

# Other packages for the bootstrap, which only the benchmark needs; pyarrow is what rapidstats reads arrays with.
.venv-bench/.bootstraps: .venv-bench/.built
ifndef STEELYARD_BENCH_PYTHON
	.venv-bench/bin/$(PIP) arch numba rapidstats pyarrow scikit-learn || echo "--- some peers could not be installed: their rows will be missing"
endif
	touch $@

# Where a peer cannot be installed, the benchmark run reports it as missing.
.venv-bench/.built: .venv-bench/.peers $(SOURCES) $(FACE)
	$(call say,building a release wheel for the benchmark: some minutes)
	rm -rf .venv-bench/site
ifdef STEELYARD_BENCH_PYTHON
	.venv-bench/bin/$(PIP) --no-deps --target .venv-bench/site .
else
	.venv-bench/bin/$(PIP) .
endif
	touch $@

# The packages of an extra of pyproject.toml, without the package itself.
extra = $$($(PYTHON) -c 'import sys, tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"][sys.argv[1]])' $(1))

.venv-bench/.peers: .venv-bench/.made pyproject.toml
	$(call say,installing the packages compared with: minutes where torch is fetched)
ifndef STEELYARD_BENCH_PYTHON
	.venv-bench/bin/$(PIP) $(call extra,bench) || echo "--- torch could not be installed: its rows and tests will be missing"
	.venv-bench/bin/$(PIP) $(call extra,trainers) || echo "--- the libraries compared with could not be installed: their tests will be skipped"
	.venv-bench/bin/$(PIP) pytest pytest-timeout pytest-xdist hypothesis ml-dtypes
endif
	touch $@

# One recipe per habit. Each does its own set-up: all it needs on a fresh machine is Rust, make and
# Python >= 3.11. The set-up is a virtual environment, .venv, with the groups of packages in
# pyproject.toml that the recipe needs. Each says what it installs, and how large that is:
SIZE_build := 40 MB
SIZE_wheels := 480 MB, of which 410 MB are zig
SIZE_demo := 6.1 GB, of which 5.8 GB are PyTorch: PyPI has it with CUDA
SIZE_test := 7.3 GB, of which 5.8 GB are PyTorch: PyPI has it with CUDA
SIZE_frameworks := 8.3 GB, of which 5.8 GB are PyTorch: PyPI has it with CUDA
SIZE_freethreaded := 6.9 GB, of which 5.8 GB are PyTorch: PyPI has it with CUDA
SIZE_bench := 6.4 GB, of which 5.8 GB are PyTorch: PyPI has it with CUDA
SIZE_docs := 170 MB
SIZE_lint := 7.5 GB, of which 5.8 GB are PyTorch, whose types mypy reads

# To choose another Python: make PYTHON=/path/to/python. It has an environment of its own, such as
# .venv-3.14.7, or .venv-3.14.7t of a free-threaded build.
ifdef PYTHON
VENV := .venv-$(shell $(PYTHON) -c 'import ensurepip, platform, sys, venv; \
	assert sys.version_info >= (3, 11); print(platform.python_version() + sys.abiflags)')
ifeq ($(VENV),.venv-)
$(error PYTHON=$(PYTHON) must be CPython 3.11 or newer with the modules venv and ensurepip)
endif
else
VENV := .venv
# The first Python that runs (a pyenv shim may not), is new enough and can make a virtual
# environment.
PYTHON := $(firstword $(foreach python,python3.14 python3.13 python3.12 python3.11 python3,\
	$(shell $(python) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
		>/dev/null 2>&1 && echo $(python))))
endif

BIN := $(VENV)/bin

# Cargo and maturin build for this environment's Python, also when make runs inside another one.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
# A module for Python finds libpython in its interpreter and must not link to it.
export PYO3_BUILD_EXTENSION_MODULE := 1
unexport CONDA_PREFIX PYTHONHOME PYTHONPATH

# Two installations at once would write to one environment.
.NOTPARALLEL:
.PHONY: help demo test test-aarch64 test-freethreaded test-portable docs fuzz fuzz-corpus \
	fuzz-layout asan leaks memory-sweep platforms gpu-kit soak stress exits loom lint bench audit \
	instructions instructions-aarch64 valgrind screenshots wheels wheels-check crates build clean
.DEFAULT_GOAL := help

# Seconds for each target of make fuzz.
SECONDS ?= 60

# What make wheels makes wheels for, and the interpreters that make wheels-check runs them with.
PYTHONS ?= 3.11 3.12 3.13 3.14 3.15 3.14t 3.15t
PLATFORMS ?= x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu \
	x86_64-unknown-linux-musl aarch64-unknown-linux-musl
INTERPRETERS ?= $(PYTHON)

# `make -n` runs lines that name $(MAKE) itself, and what else is in them.
AGAIN := $(MAKE)

# The one group of packages that tests use on a free-threaded Python.
FREE := $(if $(filter %t,$(VENV)),freethreaded)

# What each recipe needs; the table above says how much that is.
demo screenshots: $(VENV)/has-demo
asan audit fuzz-layout soak stress exits leaks memory-sweep: $(VENV)/has-$(or $(FREE),test)
test: $(VENV)/has-$(or $(FREE),frameworks)
bench: $(VENV)/has-bench
lint: $(VENV)/has-lint
docs: $(VENV)/has-docs
build instructions instructions-aarch64 platforms test-portable: $(VENV)/has-build
wheels wheels-check gpu-kit: $(VENV)/has-wheels

help: ## List the recipes
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## Take photographs from an array to a trained network, proving each hand-off
	$(BIN)/python examples/demo.py

# A package that does not say that it is safe without the GIL would switch it on for all tests.
test: build ## Run all tests: Rust, Python, the examples in the documentation
	cargo test --workspace
	$(if $(FREE),PYTHON_GIL=0 )$(BIN)/pytest

# Two tests are left out: for the first's map of 256 GiB the emulator would take gigabytes, and for
# a shared map it asks the system for private memory first, so none can be longer than memory.
AARCH64 := aarch64-unknown-linux-gnu
EMULATOR = $(shell command -v qemu-aarch64 || command -v qemu-aarch64-static)
test-aarch64: ## Run the tests of the crates for aarch64, in an emulator
	@command -v aarch64-linux-gnu-gcc >/dev/null && test -n "$(EMULATOR)" || { echo \
		'make test-aarch64 needs a linker and an emulator:' \
		'apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user' >&2; \
		exit 1; }
	@rustup target add --toolchain "$$(rustup show active-toolchain | cut -d ' ' -f 1)" $(AARCH64)
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='$(EMULATOR) -L /usr/aarch64-linux-gnu' \
		cargo test --workspace --exclude ndlens-python --lib --tests --target $(AARCH64) \
		-- --skip an_array_larger_than_memory_opens_at_once \
		--skip more_memory_than_there_is_is_an_error

test-freethreaded: ## Run all tests on a free-threaded Python, which is built if there is none
	@test -n "$(PYTHON)" || { echo 'make test-freethreaded needs Python >= 3.11' >&2; exit 1; }
	python=$$($(PYTHON) tests/helpers/free_threaded_python.py $(if $(VENV:.venv=),--only)) && \
		$(AGAIN) PYTHON="$$python" test

fuzz: ## Give hostile bytes to every target for SECONDS each, with AddressSanitizer
	@test -n "$(PYTHON)" || { echo 'make fuzz needs Python >= 3.11' >&2; exit 1; }
	$(PYTHON) fuzz/run.py --seconds $(SECONDS)

fuzz-corpus: ## Make the corpora in fuzz/corpus anew, of all that make fuzz found
	$(PYTHON) fuzz/run.py --merge

# Without --quiet, which hides warnings from --strict too.
docs: ## Build the documentation as a site in site/, offline, and check every link of it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python docs/_site/link_check.py site

fuzz-layout: build ## Compare 100,000 random chains of operations with NumPy (about half a minute)
	$(BIN)/python tests/stress/fuzz_layout.py --structures 100000

soak: build ## Share, send and lose arrays for some minutes; shared memory must stay flat
	$(BIN)/python -m tests.stress.soak_shared --rounds 50000

stress: build ## Use ndlens from eight threads for some minutes, and check every result
	$(BIN)/python -m tests.stress.threads --seconds 30

exits: build ## End the interpreter in every way, five times each, and 200 times at any moment
	$(BIN)/python -m tests.stress.exits --runs 5 --random 200

asan: ## Run the tests of the crates, and the Python tests at the border, with AddressSanitizer
	$(BIN)/python -m tests.stress.asan

leaks: build ## Export, import and fail a million times; what is in use must stay flat
	$(BIN)/python -m tests.stress.leaks --rounds 1000000

memory-sweep: build ## Run every operation where memory is limited, then where it runs out once
	$(BIN)/python tests/stress/memory_sweep.py
	cargo build --release --quiet --package ndlens-python --features failing-allocator
	$(BIN)/python tests/stress/memory_sweep.py --module target/release/lib_ndlens.so --margins

platforms: ## Run clippy for macOS, and for Windows and FreeBSD as far as they are supported
	$(BIN)/python -m tests.house.platforms

test-portable: ## Run the store's tests in a build without memfd, /proc and guard, as on macOS
	$(BIN)/python -m tests.house.portable

loom: ## Run the loader's threads and locks in every order, with loom (a build of its own)
	RUSTFLAGS='--cfg loom' cargo test -p ndlens-loader --release --test loom --target-dir target/loom
	RUSTFLAGS='--cfg loom' cargo test -p ndlens-loader --release --lib --target-dir target/loom \
		in_every_order

lint: build ## Check format, lints, types, stubs, documentation, spelling, imports and lengths
	cargo clippy --version >/dev/null 2>&1 || rustup component add clippy rustfmt
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml \
		--allowlist tests/house/stubtest.txt ndlens
	$(BIN)/typos
	$(BIN)/python tests/house/check.py

bench: build valgrind ## Measure ndlens beside NumPy, numba, OpenCV and PyTorch; takes its time
	$(BIN)/python benches/instructions.py
	$(BIN)/ndlens bench

audit: build ## Measure which hand-offs copy, and put the tables into README.md and docs/audit.md
	$(BIN)/python tests/docs/audit_tables.py

instructions: valgrind ## Count each kernel's instructions and make the counts the new baseline
	$(BIN)/python benches/instructions.py --write

instructions-aarch64: ## The same for aarch64: NEON beside plain Rust, counted in an emulator
	$(BIN)/python benches/instructions.py --aarch64 --write

# Counts instructions. Where it cannot be installed, what needs it says that it is left out.
valgrind:
	@command -v valgrind >/dev/null || { \
		echo 'Installing valgrind with apt-get: 80 MB'; \
		install='apt-get install --yes --quiet valgrind'; \
		{ test "$$(id -u)" = 0 && command -v apt-get && \
			{ $$install || { apt-get update --quiet && $$install; }; } \
		} >/dev/null 2>&1 || \
			echo 'valgrind is not installed and could not be: no instructions are counted'; \
	}

screenshots: build ## Make the pictures in docs/images anew, with Chromium
	@command -v chromium >/dev/null || { \
		echo 'Installing chromium with apt-get: 600 MB'; \
		apt-get install --yes --quiet chromium >/dev/null; }
	$(BIN)/python docs/_site/screenshots.py

wheels: ## Make the wheels of PYTHONS and PLATFORMS and the source distribution, in dist/
	$(BIN)/python -m release.wheels --pythons "$(PYTHONS)" --platforms "$(PLATFORMS)"
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz

wheels-check: ## Run each of INTERPRETERS with its wheel of dist/, in a clean environment
	$(BIN)/python -m release.install $(INTERPRETERS)

# The kit goes to a machine that may have no network and no Rust.
KIT := dist/gpu-kit

gpu-kit: ## Make the wheel for CPython 3.12 that benches/gpu.py measures on a machine with a GPU
	@git check-ignore --quiet $(KIT) || { echo '$(KIT) is not ignored by git' >&2; exit 1; }
	rm -rf $(KIT)
	$(BIN)/python -m release.wheels --pythons 3.12 --platforms x86_64-unknown-linux-gnu --out $(KIT)
	rm -rf $(KIT)/*.tar.gz $(KIT)/debug
	@test "$$(cat $(KIT)/*.whl | wc -c)" -lt 8000000 || { echo 'over 8 MB' >&2; exit 1; }
	@echo 'On the machine with the GPU, in the root of the tree:'
	@echo '  python3 -m pip install --no-index --no-deps --target site' $(KIT)/*.whl
	@echo '  PYTHONPATH=site python3 benches/gpu.py'
	@echo '  PYTHONPATH=site:. python3 -m pytest -c /dev/null --rootdir . -q \'
	@echo '      tests/loader/test_device.py'

crates: ## Make what goes to crates.io, and build each package from what is in it
	cargo package --workspace --exclude ndlens-python --exclude ndlens-fuzz --locked

build: ## Build the Python module in place; quick when nothing changed
	$(BIN)/maturin develop --release --quiet

clean: ## Remove everything the recipes made, the virtual environment too
	rm -rf .venv .venv-* .python-free-threaded target fuzz/target demo dist site
	rm -rf python/ndlens/*.so
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The packages of a group, with those of the groups that it includes.
PACKAGES = import tomllib; \
	groups = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]; \
	of = lambda name: sum(([p] if isinstance(p, str) else of(p["include-group"]) \
		for p in groups[name]), []); print(*sorted(set(of("$*"))), sep=", ")

# A stamp is written last: an installation that failed half-way is taken up again.
$(VENV)/has-%: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'no Python >= 3.11 with venv found;' \
		'install one or say make PYTHON=/path/to/python' >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo 'Installing into $(VENV) what it does not have yet of the group "$*" ($(SIZE_$*)):'
	@$(BIN)/python -c '$(PACKAGES)'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group $*
	@touch $@

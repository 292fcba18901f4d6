# Each target brings what it needs; nothing has to be installed first but git, make and Python 3.10 or newer.
PYTHON ?= python3
BIN := .venv/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
MODELS := models/magika.onnx models/silero-vad.onnx models/minilm.onnx
SHAPES := --shape unk__214=1 --shape batch=1 --shape sequence=576 --shape batch_size=1 --shape sequence_length=32

.PHONY: measure test check test-slow chaos clean

# Three trained models on this machine and on an emulated Raspberry Pi 4, with both runtimes.
measure: .venv/ready
	@$(BIN)/python examples/fetch_models.py models
	@$(BIN)/hwloop measure $(MODELS) $(SHAPES) -d local -d pi4 --seconds 30 --width 0.05

# Linters, types and every test but the slow ones; the SSH tests run servers of their own on loopback.
test: check
	@PATH="$$PATH:/usr/sbin" command -v sshd >/dev/null || \
		{ echo "Installing Debian's openssh-server for the SSH tests (1 MB)."; \
		$(SUDO) apt-get update -q && $(SUDO) apt-get install -q -y --no-install-recommends openssh-server; }
	@command -v chromium >/dev/null || \
		{ echo "Installing Debian's chromium for the tests of HTML pages (90 MB)."; \
		$(SUDO) apt-get update -q && $(SUDO) apt-get install -q -y --no-install-recommends chromium; }
	@$(BIN)/hwloop emulator up pi4 --timeout 1500
	$(BIN)/pytest -m "not slow and not chaos"

test-slow: .venv/ready
	$(BIN)/pytest -m "slow and not chaos"

# Faults at random points, for some 20 minutes: hundreds of kills, cut and lossy networks.
chaos: .venv/ready
	$(BIN)/pytest -m chaos

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# The rooms stand beside hwloop/ and are installed inside it; mypy sees them there.
	@rm -rf build/types && mkdir -p build/types/hwloop
	@ln -s $(CURDIR)/hwloop/* $(addprefix $(CURDIR)/,exporter devices predictor search) build/types/hwloop/
	$(BIN)/mypy

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "hwloop needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "Installing Debian's python3-venv, which .venv needs."; $(SUDO) apt-get install -q -y python3-venv; }
	@echo "Making .venv with hwloop, PyTorch and TVM's compiler: about 500 MB to fetch, once."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --upgrade "pip>=24" "setuptools>=77"
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --editable ".[dev,tvm]"
	@touch .venv/ready

clean:
	rm -rf .venv build dist *.egg-info

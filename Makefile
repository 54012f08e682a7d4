# make demo | test | test-integrations | test-lowest | lint | types | check | clean
#
# The first of them to run makes .venv. Two choices can be made then, and are kept until `make clean`:
#   make demo SYSTEM_TORCH=1     use the torch that is installed on this machine, whatever its version
#   make demo TORCH_INDEX=URL    take torch from URL, the index that pytorch.org's selector shows for a CPU or CUDA build
# PYTHON names the interpreter (3.11 or later); ARGS is handed to pytest or to the demo.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
INTEGRATIONS := .venv/.integrations

# More threads make small graph steps many times slower on a busy machine; the default language model needs no network.
OMP_NUM_THREADS ?= 1
OMP_WAIT_POLICY ?= PASSIVE
HF_HUB_OFFLINE ?= 1
export OMP_NUM_THREADS OMP_WAIT_POLICY HF_HUB_OFFLINE

.PHONY: demo test test-integrations test-lowest lint types check clean

demo: $(READY)
	$(BIN)/lrdgraph demo $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -n 2 $(ARGS)

# DGL, OGB, PyKEEN and RDF stores, in the versions that work beside our torch; they are installed first.
test-integrations: $(INTEGRATIONS)
	LRDGRAPH_INTEGRATIONS=1 $(BIN)/python -m pytest -n 2 tests/integrations $(ARGS)

# The unit tests with the oldest versions that pyproject.toml allows, in an environment of their own: gigabytes of torch.
test-lowest:
	test -e .venv-lowest || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/uv pip install --python .venv-lowest/bin/python --resolution lowest-direct -e '.[dev]'
	.venv-lowest/bin/python -m pytest -n 2 $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

check: lint types test

# .ready is written last: a .venv without it is half installed and is made anew.
$(READY): pyproject.toml constraints.txt
	test -e $@ || $(PYTHON) -m venv --clear $(if $(SYSTEM_TORCH),--system-site-packages) .venv
	if grep -q 'include-system-site-packages = true' .venv/pyvenv.cfg; \
	then grep -v '^torch==' constraints.txt; else cat constraints.txt; fi > .venv/constraints.txt
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install -c .venv/constraints.txt --index-url $(TORCH_INDEX) torch)
	$(BIN)/python -m pip install -c .venv/constraints.txt -e '.[dev]'
	touch $@

$(INTEGRATIONS): $(READY)
	$(BIN)/python -m pip install -c .venv/constraints.txt -e '.[integrations]'
	touch $@

clean:
	rm -rf .venv .venv-lowest build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

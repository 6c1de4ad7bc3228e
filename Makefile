# `make demo` and `make test` each set up all they need in .venv.
PY := .venv/bin/python
DEMO := demo

.PHONY: setup demo test lint clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	@command -v uv >/dev/null || python3 -m pip install --quiet uv
	@test -x $(PY) || uv venv --quiet --python '>=3.11' .venv
	uv pip install --quiet --python $(PY) --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	bash data_prep/demo.sh $(DEMO)

lint: setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/pyright
	.venv/bin/lint-imports

test: lint
	$(PY) -m pytest

clean:
	rm -rf .venv $(DEMO) dist build

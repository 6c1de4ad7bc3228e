# `make demo` and `make test` each set up all they need in .venv.
PY := .venv/bin/python
UV = $(shell command -v uv || echo .uv/bin/uv)
DEMO := demo

.PHONY: setup demo test lint clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	@command -v uv >/dev/null || test -x .uv/bin/uv || { python3 -m venv .uv && .uv/bin/pip install --quiet uv; }
	@test -x $(PY) || $(UV) venv --quiet --python '>=3.11' .venv
	$(UV) pip install --quiet --python $(PY) --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	rm -rf $(DEMO)
	$(PY) data_prep/synthetic.py $(DEMO)/videos
	.venv/bin/avssl-train experiment=demo data.root=$(DEMO)/videos/train out=$(DEMO)/run
	.venv/bin/avssl-embed checkpoint=$(DEMO)/run data.root=$(DEMO)/videos/test out=$(DEMO)/embeddings
	.venv/bin/avssl-search embeddings=$(DEMO)/embeddings query=$(DEMO)/videos/test/clover/clover_00004.mp4 from=audio to=video
	.venv/bin/avssl-eval task=retrieval embeddings=$(DEMO)/embeddings gallery=true
	@echo "open in a browser: $(DEMO)/embeddings/gallery/index.html"

lint: setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/pyright
	.venv/bin/lint-imports

test: lint
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile  # one thread each: tests start processes of their own

clean:
	rm -rf .venv .uv $(DEMO) dist build

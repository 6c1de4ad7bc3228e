# `make demo` and `make test` each set up what they need in .venv; going from one to the other installs only what lacks.
PY := .venv/bin/python
UV = $(shell command -v uv || echo .uv/bin/uv)
DEMO := demo
, := ,

# $(1): folder of the environment, $(2): constraints, $(3): extras
define install
	@command -v uv >/dev/null || test -x .uv/bin/uv || { python3 -m venv .uv && .uv/bin/pip install --quiet uv; }
	@test -x $(1)/bin/python || $(UV) venv --quiet --python '>=3.11' $(1)
	$(UV) pip install --quiet --python $(1)/bin/python --constraint $(2) --editable '.[$(3)]'
	@touch $@
endef

.PHONY: setup setup-dev demo test test-latest lint clean

setup: .venv/.ready
setup-dev: .venv/.ready-dev

.venv/.ready: pyproject.toml constraints.txt
	$(call install,.venv,constraints.txt,faiss-cpu)

.venv/.ready-dev: pyproject.toml constraints.txt
	$(call install,.venv,constraints.txt,dev$(,)torchaudio)
	@touch .venv/.ready

.venv-latest/.ready: pyproject.toml constraints-latest.txt
	$(call install,.venv-latest,constraints-latest.txt,dev)

demo: setup
	rm -rf $(DEMO)
	$(PY) data_prep/synthetic.py $(DEMO)/videos
	.venv/bin/avssl-train $(DEMO)/videos/train experiment=demo out=$(DEMO)/run
	.venv/bin/avssl-embed $(DEMO)/run $(DEMO)/videos/test out=$(DEMO)/embeddings
	.venv/bin/avssl-search $(DEMO)/embeddings $(DEMO)/videos/test/clover/clover_00004.mp4 from=audio to=video
	.venv/bin/avssl-eval $(DEMO)/embeddings gallery=true
	@echo "open in a browser: $(DEMO)/embeddings/gallery/index.html"

lint: setup-dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/pyright
	.venv/bin/lint-imports

test: lint
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile  # one thread each: tests start processes of their own

# The newest torch, which torchaudio does not have yet: its tests are skipped, so a skip is no failure here.
test-latest: .venv-latest/.ready
	env -u AVSSL_CI OMP_NUM_THREADS=1 .venv-latest/bin/python -m pytest -n 2 --dist loadfile -rs

clean:
	rm -rf .venv .venv-latest .uv $(DEMO) dist build

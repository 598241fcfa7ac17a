# `make demo` and `make test` do everything on a fresh machine that has Python 3.11, gcc, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
OURS := __init__.py errors.py pace.py safe_text.py importable.py downloads.py supervised.py cli detectors datasets benchmarks emotions reports tools

GPU_EXTRAS = $(if $(filter cpu,$(DEVICE)),cpu$(COMMA)torch,cuda)
COMMA := ,
DEVICE ?= cuda

.PHONY: setup demo test gpu lint format clean

setup: $(STAMP)

# Three packages pin versions that no resolver can meet, so they go in without their dependencies;
# face-recognition needs pkg_resources, which setuptools had until 80.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "facebench needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[all,dev]' setuptools
	$(PIP) --no-deps retinaface-pytorch face-recognition face_recognition_models
	touch $@

demo: setup
	$(BIN)/facebench run --dataset scenes --out runs/demo
	$(BIN)/facebench pick runs/demo --demo --accept-noise --output runs/demo/default_detector.json
	FACEBENCH_DEFAULT=runs/demo/default_detector.json \
		$(BIN)/facebench run --detectors default,haar --dataset expression-scenes:demo --out runs/demo-emotions
	$(BIN)/facebench emotions score runs/demo-emotions
	$(BIN)/facebench report runs/demo --emotions runs/demo-emotions --output report.html

# In an environment of its own, since ONNX Runtime for CUDA and for the CPU overwrite each other's files. Without a
# network: WHEELS=DIR and FACEBENCH_MODELS=DIR. `make gpu DEVICE=cpu GPU="--images 16 --batch 1,4 --rounds 1"` tries it.
GPU_PIP = .venv-gpu/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt \
	$(if $(WHEELS),--no-index --find-links $(WHEELS))
gpu:
	test -x .venv-gpu/bin/python || $(PYTHON) -m venv .venv-gpu
	$(GPU_PIP) --editable '.[$(GPU_EXTRAS)]' setuptools
	$(GPU_PIP) --no-deps retinaface-pytorch
	.venv-gpu/bin/python -m facebench.tools.gpu --device $(DEVICE) --out runs/gpu $(GPU)

# One process more than cores: many tests wait for children of theirs. The first worker that crashes ends the run:
# with loadfile, xdist would wait for ever for the rest of its file.
test: setup
	$(BIN)/python -m pytest --numprocesses $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --maxprocesses 4 \
		--dist loadfile --no-loadscope-reorder --max-worker-restart 0

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(OURS)

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) runs report.html build dist *.egg-info

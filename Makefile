# Each target sets up what it needs: a virtual environment in .venv, the compiled core, the packages of one extra.
.DEFAULT_GOAL := help
.PHONY: help demo bench test test-slow test-tensorflow lint clean

PYTHON ?= python3
BIN := .venv/bin
CORE := pyproject.toml constraints.txt CMakeLists.txt $(wildcard cpp/*) $(wildcard cpp/isa/*)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

help:  ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

demo: .venv/demo.stamp  ## compare upsampling kernels on a photograph, learned from others; writes out/demo.png
	$(BIN)/tconv demo -o out

bench: .venv/bench.stamp  ## time tconv and its peers on 61 published layers; writes bench/results
	$(BIN)/tconv bench -o bench/results

test: .venv/test.stamp lint  ## linter, type check and all fast tests, with coverage
	$(BIN)/python -m pytest --cov --cov-report=term

test-slow: .venv/test.stamp  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

test-tensorflow: .venv/tensorflow.stamp  ## the Keras dialect against TensorFlow itself (600 MB, in .venv-tensorflow)
	.venv-tensorflow/bin/python -m pytest -m tensorflow tests/dialects/test_tensorflow.py

lint: .venv/test.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:  ## remove everything that the targets above made
	rm -rf .venv .venv-tensorflow build out .coverage

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo.stamp: $(CORE) | $(BIN)/python
	$(INSTALL) '.[explain,torch]'
	touch $@

.venv/bench.stamp: $(CORE) | $(BIN)/python
	$(INSTALL) '.[bench,explain]'
	touch $@ .venv/demo.stamp

.venv/test.stamp: $(CORE) | $(BIN)/python
	$(INSTALL) '.[test]'
	touch $@ .venv/demo.stamp

.venv/tensorflow.stamp: $(CORE) | $(BIN)/python
	$(PYTHON) -m venv .venv-tensorflow
	.venv-tensorflow/bin/python -m pip install --quiet tensorflow pytest --editable .
	touch $@

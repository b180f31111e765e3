# A thin front for CMake: what to type, nothing more. Everything works in a fresh clone, with no other step.
#   CUDA=0  without the CUDA back end;  CUDA=1  fail where there is no CUDA toolkit;  unset: where one is found.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
.PHONY: build demo test bench smollm2 format tidy fuzz-full fault-full clean help

ifeq ($(shell command -v nvcc),)
ifneq ($(wildcard /usr/local/cuda/bin/nvcc),)
export CUDACXX ?= /usr/local/cuda/bin/nvcc
endif
endif
ifneq ($(shell command -v ccache),)
export CMAKE_CXX_COMPILER_LAUNCHER ?= ccache
endif

# Paths relative to the tree, so that a cache serves every clone of it.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1

cuda_0 := OFF
cuda_1 := ON
cuda := $(or $(cuda_$(CUDA)),AUTO)
export CUDA

sources = git ls-files '*.cc' '*.h' '*.cu' '*.cuh'

build: ## build the program: build/fastkv (also plain "make")
	@tools/setup.sh build
	@mkdir -p build
	@cmake --preset release -DFASTKV_CUDA=$(cuda) \
	  $(if $(wildcard build/CMakeCache.txt),,-DFASTKV_TESTS=OFF -DFASTKV_BENCHMARKS=OFF) > build/configure.log || \
	  { cat build/configure.log; exit 1; }
	@cmake --build build --target fastkv

demo: build ## install what is missing, build, and run the demonstration
	@build/fastkv demo

test: ## install what is missing, then run every test that needs no GPU
	@tools/setup.sh test
	@FASTKV_CUDA=$(cuda) tools/test.sh

bench: ## build and run the operation benchmarks
	@tools/setup.sh test
	@FASTKV_CUDA=$(cuda) tools/bench.sh

smollm2: ## fetch a small chat model (98 MB, Apache-2.0) to models/
	@tools/smollm2.sh

format: ## format all sources (clang-format-14)
	@$(sources) | xargs -r clang-format-14 -i

tidy: ## static analysis (clang-tidy-14), as slow as a full build
	@tools/setup.sh test
	@tools/tidy.sh

fuzz-full: ## fuzz every target for FASTKV_FUZZ_SECONDS (default 3600) and add to fuzz/ledger.tsv
	@tools/setup.sh test
	@tools/fuzz.sh --ledger $${FASTKV_FUZZ_SECONDS:-3600}

fault-full: ## the fault, kill and exhaustive tests in their full form, under AddressSanitizer (hours)
	@tools/setup.sh test
	@tools/fault_full.sh

clean: ## remove every build folder
	@rm -rf build build-*

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
	  printf '  make %-12s %s\n' "$$name" "$$text"; done

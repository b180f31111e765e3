#!/usr/bin/env bash
# Builds and runs the operation benchmarks: every operation of the CPU back end, and of the CUDA back end where a
# device answers. Options go to the program: tools/bench.sh --op MatMul --tokens 256
set -eu -o pipefail
cd "$(dirname "$0")/.."

mkdir -p build
cmake --preset release "-DFASTKV_CUDA=${FASTKV_CUDA:-AUTO}" -DFASTKV_BENCHMARKS=ON > build/configure.log || {
  cat build/configure.log
  exit 1
}
cmake --build build --target ops_bench
build/bench/ops_bench --backend cpu "$@"
if command -v nvidia-smi > /dev/null && nvidia-smi -L > /dev/null 2>&1; then
  build/bench/ops_bench --backend cuda "$@"
fi

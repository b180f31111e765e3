#!/usr/bin/env bash
# Builds fastkv on a machine with an NVIDIA GPU, holds the GPU's operations to the reference, measures them, and
# writes JSON. Needs the CUDA toolkit, CMake, Ninja and a C++20 compiler; nothing is installed outside the build folder.
# usage: tools/gpu_check.sh [OUTPUT_FOLDER]          (default: build-gpu/results)
#   FASTKV_DEPS_DIR   folder of Debian packages (*.deb) with the libraries this machine lacks; unpacked into the build folder
#   FASTKV_CUDNN_FRONTEND_DIR   folder of cudnn_frontend.h
#   FASTKV_GPU_SANITIZE=1       run the parity test under compute-sanitizer (memcheck, racecheck) too
# Exit status: 0 all is well; 1 a check failed; 2 something is missing.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 2
build=$PWD/build-gpu
output=${1:-$build/results}
mkdir -p "$output" || exit 2
output=$(cd "$output" && pwd)
started=$SECONDS
failed=0

say() { printf '[%4d s] %s\n' $((SECONDS - started)) "$*"; }
stop() { echo "gpu_check: $*" >&2; exit 2; }

command -v nvidia-smi > /dev/null || stop "nvidia-smi not found: this machine has no NVIDIA driver"
export PATH=$PATH:/usr/local/cuda/bin
command -v nvcc > /dev/null || stop "nvcc not found: install the CUDA toolkit or put its bin folder on PATH"
command -v cmake > /dev/null && command -v ninja > /dev/null || stop "cmake and ninja are needed"
card=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1)
say "$card, driver $(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1), $(nproc) cores"

cmake_options=(-G Ninja -DCMAKE_BUILD_TYPE=Release -DFASTKV_CUDA=ON "-DFASTKV_CUDA_ARCHITECTURES=${FASTKV_CUDA_ARCHITECTURES:-90a}")
if [ -n "${FASTKV_DEPS_DIR:-}" ]; then
  prefix=$build/prefix
  mkdir -p "$prefix"
  for package in "$FASTKV_DEPS_DIR"/*.deb; do
    dpkg -x "$package" "$prefix" || stop "$package does not unpack"
  done
  libraries=$prefix/usr/lib/x86_64-linux-gnu
  cmake_options+=("-DCMAKE_PREFIX_PATH=$prefix/usr")
  export PKG_CONFIG_PATH=$libraries/pkgconfig:$prefix/usr/share/pkgconfig PKG_CONFIG_SYSROOT_DIR=$prefix
  export LD_LIBRARY_PATH=$libraries:${LD_LIBRARY_PATH:-}
fi
if [ -n "${FASTKV_CUDNN_FRONTEND_DIR:-}" ]; then
  cmake_options+=("-DFASTKV_CUDNN_FRONTEND_DIR=$FASTKV_CUDNN_FRONTEND_DIR")
fi
# cuDNN's frontend opens libcudart by name.
cuda_libraries=$(dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")")/lib64
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}:$cuda_libraries

cmake -S . -B "$build" "${cmake_options[@]}" > "$output/configure.log" 2>&1 || { tail -20 "$output/configure.log"; stop "configuring failed"; }
targets=(op_parity_test gpu_ops_bench)
[ "${FASTKV_GPU_ALL:-0}" = 1 ] && targets=(all)
ninja -C "$build" "${targets[@]}" > "$output/build.log" 2>&1 || { grep -E 'error|FAILED' "$output/build.log" | head -20; stop "building failed"; }
say "built"

parity=$(find "$build" -name op_parity_test -type f -perm -u+x | head -1)
bench=$(find "$build" -name gpu_ops_bench -type f -perm -u+x | head -1)
filter='*cuda*:-EveryCase*'
check() { # name, command...
  local name=$1
  shift
  if "$@" > "$output/$name.log" 2>&1; then
    say "$name: $(grep -E 'tests ran|PASSED|ERROR SUMMARY|RACECHECK SUMMARY' "$output/$name.log" | tail -2 | tr '\n' ' ')"
  else
    failed=1
    say "$name FAILED with status $?: see $output/$name.log"
    grep -E 'FAILED|error|Failure' "$output/$name.log" | head -20
  fi
}
check parity "$parity" "--gtest_filter=$filter" --gtest_brief=1
if [ "${FASTKV_GPU_SANITIZE:-0}" = 1 ]; then
  check memcheck compute-sanitizer --tool memcheck --error-exitcode 1 "$parity" "--gtest_filter=$filter" --gtest_brief=1
  check racecheck compute-sanitizer --tool racecheck --error-exitcode 1 "$parity" "--gtest_filter=$filter" --gtest_brief=1
fi

slug=$(echo "$card" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')
FASTKV_COMMIT=${FASTKV_COMMIT:-$(git rev-parse --short HEAD 2> /dev/null || echo unknown)} "$bench" "$output/gpu-ops-$slug.json" \
  > "$output/gpu-ops.log" 2>&1 || { failed=1; say "gpu_ops_bench FAILED"; }
grep WRONG "$output/gpu-ops.log" && failed=1
say "measured: $output/gpu-ops-$slug.json"
exit $failed

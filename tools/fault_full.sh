#!/usr/bin/env bash
# The tests whose full form takes hours, under AddressSanitizer and UndefinedBehaviorSanitizer: every allocation and
# every file operation fails once, every truncation and every bit flip of a header, the kills of an evaluation run.
# `make test` runs a sample of each. The full form is asked for with FASTKV_ALL_FAULTS=1; the tests are those whose
# suite is named *Fault*, *Exhaustive*, *Hostile* or *Kill*.
# usage: tools/fault_full.sh [gtest filter]
set -eu -o pipefail
cd "$(dirname "$0")/.."

filter=${1:-'*Fault*:*Exhaustive*:*Hostile*:*Kill*'}
command -v ccache > /dev/null && export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER:-ccache}
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
export FASTKV_ALL_FAULTS=1

cmake --preset asan > /dev/null
cmake --build build-asan

# Programs are called one by one: ctest's time limit is made for the sample.
passed=0
failed=0
while read -r program; do
  if ! "$program" --gtest_filter="$filter" --gtest_list_tests | grep -q '^ '; then continue; fi
  echo "== $(basename "$program")"
  start=$SECONDS
  if "$program" --gtest_filter="$filter"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  echo "== $(basename "$program"): $((SECONDS - start)) s"
done < <(find build-asan -type f -name '*_test' -perm -u+x | sort)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

#!/usr/bin/env bash
# Builds every libFuzzer target (src/**/x_fuzz.cc) with clang, AddressSanitizer and UndefinedBehaviorSanitizer, and runs
# each for a bounded time with leak checks, starting from fuzz/corpus/<target>/ and using fuzz/dict/<target>.dict
# where there is one.
# usage: tools/fuzz.sh [--ledger] SECONDS [target...]
#   --ledger  keep the grown corpus in build-fuzz/corpus/ for the next run, and add one line a target to fuzz/ledger.tsv
# Prints "PASS target ..." or "FAIL target ..." for each. Exit status 1 if one failed, 2 if they could not be built.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 2

keep=0
if [ "${1:-}" = --ledger ]; then
  keep=1
  shift
fi
seconds=${1:-30}
shift || true
case $seconds in
  '' | *[!0-9]*) echo "usage: tools/fuzz.sh [--ledger] SECONDS [target...]" >&2; exit 2 ;;
esac

command -v ccache > /dev/null && export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER:-ccache}
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(find src fuzz -name '*_fuzz.cc' -printf '%f\n' | sed 's/\.cc$//' | sort)
fi
if [ ${#targets[@]} -eq 0 ]; then
  echo "no fuzz targets" >&2
  exit 2
fi
mkdir -p build-fuzz/logs build-fuzz/artifacts build-fuzz/corpus
if ! { cmake --preset fuzz && cmake --build build-fuzz --target "${targets[@]}"; } > build-fuzz/build.log 2>&1; then
  tail -n 40 build-fuzz/build.log
  echo "the fuzz targets do not build; the end of build-fuzz/build.log is above" >&2
  exit 2
fi

run_one() {
  local target=$1 binary corpus log options=()
  log=build-fuzz/logs/$target.log
  binary=$(find build-fuzz -type f -name "$target" -perm -u+x | head -n 1)
  if [ "$keep" = 1 ]; then
    corpus=build-fuzz/corpus/$target
    mkdir -p "$corpus"
  else
    corpus=$(mktemp -d)
  fi
  [ -d "fuzz/corpus/$target" ] && cp -r "fuzz/corpus/$target/." "$corpus/"
  [ -f "fuzz/dict/$target.dict" ] && options+=("-dict=fuzz/dict/$target.dict")
  # The own limit of an input: a second is what a hostile file may take, times ten for the sanitizers.
  ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 timeout --kill-after=10 $((seconds + 300)) \
    "$binary" "$corpus" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build-fuzz/artifacts/$target-" "${options[@]}" > "$log" 2>&1
  local rc=$? executions seed result=PASS
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  seed=$(sed -n 's/^INFO: Seed: *//p' "$log")
  { [ $rc -eq 0 ] && [ "${executions:-0}" -gt 0 ]; } || result=FAIL
  [ "$keep" = 1 ] || rm -rf "$corpus"
  if [ $result = FAIL ]; then
    grep -vE '^#[0-9]+[[:space:]]+(NEW|REDUCE|pulse|RELOAD)' "$log" | tail -n 40
  fi
  echo "$result $target ${executions:-0} executions in $seconds s, seed ${seed:-?}, exit status $rc"
  if [ "$keep" = 1 ]; then
    [ -f fuzz/ledger.tsv ] || printf 'date\tcommit\ttarget\tseconds\texecutions\tseed\tresult\n' > fuzz/ledger.tsv
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$(date -u +%F)" "$(git describe --always --dirty)" "$target" "$seconds" \
      "${executions:-0}" "${seed:-?}" "$result" >> fuzz/ledger.tsv
  fi
  [ $result = PASS ]
}
export -f run_one
export seconds keep

printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'run_one "$1"' run_one {} || exit 1

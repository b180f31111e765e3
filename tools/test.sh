#!/usr/bin/env bash
# Every test that needs no GPU, in stages:
#   release  the program as it is shipped, and all tests
#   asan     all tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan     the tests of what runs in several threads under ThreadSanitizer
#   fuzz     every fuzz target for FASTKV_FUZZ_SECONDS (default 30)
# usage: tools/test.sh [stage...]      (default: all)
# Ends with a table and the line "N passed, N failed": test programs and fuzz targets; a build that fails counts as one.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 2

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(release asan tsan fuzz)
jobs=$(nproc)

# Where several test programs share the cores, idle OpenMP threads must not spin.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=suppressions=$PWD/tests/suppressions/tsan.txt:halt_on_error=1:history_size=4
# Paths relative to the tree, so that a cache serves every clone of it.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
command -v ccache > /dev/null && export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER:-ccache}

# The programs whose code runs in several threads.
tsan_tests='^(fastkv_(base|backend(_[a-z]+)?|kv|method|model|engine)_test|op_parity_test|engine_(contract|measuring|weight_type)_test)$'

passed=0
failed=0
rows=()

# row stage passed failed cases skipped build_seconds run_seconds note
row() {
  rows+=("$(printf '%-8s %7d %7d %7s %8s %8s %8s  %s' "$@")")
  passed=$((passed + $2))
  failed=$((failed + $3))
}

# build STAGE PRESET [cmake option...] -- target...; the log is shown only when it fails.
build() {
  local stage=$1 preset=$2 options=()
  shift 2
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  local folder=build
  [ "$preset" = release ] || folder=build-$preset
  mkdir -p "$folder"
  echo "== $stage: building in $folder"
  if ! cmake --preset "$preset" "${options[@]}" > "$folder/configure.log" 2>&1; then
    cat "$folder/configure.log"
    return 1
  fi
  local targets=()
  if [ $# -gt 0 ]; then
    mapfile -t targets < <(ninja -C "$folder" -t targets all | sed -n 's/^\([a-z_0-9]*\): .*$/\1/p' | grep -E "$1")
    if [ ${#targets[@]} -eq 0 ]; then
      echo "no target matches $1"
      return 1
    fi
  fi
  if ! ninja -C "$folder" "${targets[@]}" > "$folder/build.log" 2>&1; then
    grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking|Generating)' "$folder/build.log" | tail -n 60
    return 1
  fi
}

# A test program that was built and is not registered would pass unseen.
all_registered() {
  local folder=$1 registered program ok=0
  registered=$(ctest --test-dir "$folder" -N | sed -n 's/^ *Test *#[0-9]*: //p')
  while read -r program; do
    if ! grep -qxF "$program" <<< "$registered"; then
      echo "$program was built, and ctest does not run it"
      ok=1
    fi
  done < <(ninja -C "$folder" -t targets all | sed -n 's/^\([a-z_0-9]*_test\): phony$/\1/p' |
    while read -r name; do find "$folder" -type f -name "$name" -perm -u+x -printf '%f\n'; done)
  return $ok
}

# run_ctest STAGE FOLDER build_seconds [ctest option...]
run_ctest() {
  local stage=$1 folder=$2 build_seconds=$3 start=$SECONDS
  shift 3
  echo "== $stage: running the tests"
  rm -f "$folder/Testing/Temporary/LastTest.log"
  if ! all_registered "$folder"; then
    row "$stage" 0 1 - - "$build_seconds" - "a test program that no test runs"
    return
  fi
  "${launcher[@]}" ctest --test-dir "$folder" -j "$jobs" --output-on-failure --no-tests=error "$@" 2>&1 |
    tee "$folder/ctest.log"
  local rc=${PIPESTATUS[0]} total bad log=$folder/Testing/Temporary/LastTest.log cases skipped
  total=$(sed -n 's/^.* tests failed out of \([0-9]*\)$/\1/p' "$folder/ctest.log" | tail -n 1)
  bad=$(sed -n 's/^.*, \([0-9]*\) tests failed out of .*$/\1/p' "$folder/ctest.log" | tail -n 1)
  cases=$(grep -ao '^\[  PASSED  \] [0-9]*' "$log" 2> /dev/null | awk '{ sum += $4 } END { print sum + 0 }')
  skipped=$(grep -ao '^\[  SKIPPED \] [0-9]* test' "$log" 2> /dev/null | awk '{ sum += $4 } END { print sum + 0 }')
  if [ -z "$total" ]; then
    total=1 bad=1
  elif [ "$rc" -ne 0 ] && [ "$bad" -eq 0 ]; then
    total=$((total + 1)) bad=1
  fi
  row "$stage" $((total - bad)) "$bad" "$cases" "$skipped" "$build_seconds" $((SECONDS - start)) ""
}

launcher=()
run_stage() {
  local stage=$1 start=$SECONDS
  launcher=()
  case $stage in
    release)
      if build release release "-DFASTKV_CUDA=${FASTKV_CUDA:-AUTO}" -DFASTKV_TESTS=ON -DFASTKV_BENCHMARKS=ON --; then
        run_ctest release build $((SECONDS - start))
      else
        row release 0 1 - - $((SECONDS - start)) - "does not build"
      fi
      ;;
    asan)
      if build asan asan -- '(_test|^fastkv)$'; then
        run_ctest asan build-asan $((SECONDS - start)) -LE not_sanitized
      else
        row asan 0 1 - - $((SECONDS - start)) - "does not build"
      fi
      ;;
    tsan)
      # Newer kernels place memory where ThreadSanitizer does not expect it; without randomisation they do not.
      setarch "$(uname -m)" -R true 2> /dev/null && launcher=(setarch "$(uname -m)" -R)
      if build tsan tsan -- "$tsan_tests"; then
        run_ctest tsan build-tsan $((SECONDS - start)) -R "$tsan_tests"
      else
        row tsan 0 1 - - $((SECONDS - start)) - "does not build"
      fi
      ;;
    fuzz)
      echo "== fuzz: building in build-fuzz, then ${FASTKV_FUZZ_SECONDS:-30} s a target"
      tools/fuzz.sh "${FASTKV_FUZZ_SECONDS:-30}" 2>&1 | tee build-fuzz.log
      local rc=${PIPESTATUS[0]} good bad
      good=$(grep -c '^PASS ' build-fuzz.log)
      bad=$(grep -c '^FAIL ' build-fuzz.log)
      rm -f build-fuzz.log
      if [ "$rc" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
      row fuzz "$good" "$bad" - - - $((SECONDS - start)) ""
      ;;
    *)
      echo "tools/test.sh: unknown stage $stage (release, asan, tsan, fuzz)" >&2
      exit 2
      ;;
  esac
}

for stage in "${stages[@]}"; do run_stage "$stage"; done

echo
printf '%-8s %7s %7s %7s %8s %8s %8s\n' stage passed failed cases skipped build_s run_s
printf '%s\n' "${rows[@]}"
echo "total time: $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

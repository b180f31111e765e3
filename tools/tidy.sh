#!/usr/bin/env bash
# clang-tidy over every source file of the host, with the checks of .clang-tidy.
# usage: tools/tidy.sh [file...]
set -eu -o pipefail
cd "$(dirname "$0")/.."

tidy=$(command -v clang-tidy-14 || command -v clang-tidy) || {
  echo "clang-tidy is missing; on Debian 12: apt-get install clang-tidy" >&2
  exit 2
}
cmake --preset debug > /dev/null
files=("$@")
[ ${#files[@]} -gt 0 ] || mapfile -t files < <(git ls-files 'src/*.cc' 'apps/*.cc')
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 1 "$tidy" -p build-debug --quiet

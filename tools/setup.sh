#!/usr/bin/env bash
# Installs what is missing to build or to test fastkv, with the system's package manager, and says so once.
# usage: tools/setup.sh build|test
# Prints nothing when nothing is missing. Exit status: 0 all is there; 2 something is missing and could not be installed.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 2

level=${1:-build}
case $level in
  build | test) ;;
  *) echo "usage: tools/setup.sh build|test" >&2; exit 2 ;;
esac

# package | how to see that it is there (cmd: a command, hdr: a C++ header, file: a path, globs allowed) | what for
build_needs='
g++                | cmd:g++                                    | compiler
cmake              | cmd:cmake                                  | build
ninja-build        | cmd:ninja                                  | build
pkg-config         | cmd:pkg-config                             | build
libdnnl-dev        | hdr:dnnl.hpp                               | matrix products on the CPU
libhwy-dev         | hdr:hwy/highway.h                          | vector code
libsimdjson-dev    | hdr:simdjson.h                             | fast JSON
nlohmann-json3-dev | hdr:nlohmann/json.hpp                      | JSON
libpcre2-dev       | file:/usr/include/pcre2.h                  | the tokenizer expressions
libutf8proc-dev    | hdr:utf8proc.h                             | Unicode normalisation
libcli11-dev       | hdr:CLI/CLI.hpp                            | command line
libfmt-dev         | hdr:fmt/format.h                           | text output
libedit-dev        | file:/usr/include/histedit.h               | line editing'
test_needs='
libgtest-dev       | hdr:gtest/gtest.h                          | tests
libgmock-dev       | hdr:gmock/gmock.h                          | tests
clang-19           | cmd:clang++-19                             | fuzzing
libclang-rt-19-dev | file:/usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.fuzzer-*.a | fuzzing
python3            | cmd:python3                                | tests of the tree and of the command line
xz-utils           | cmd:xz                                     | unpacking test data
chromium           | cmd:chromium                               | tests of the pages'

needs=$build_needs
[ "$level" = test ] && needs+=$test_needs

# One preprocessor run answers for all headers: it prints the headers that it cannot find.
missing_headers() {
  local header
  while read -r header; do
    printf '#if !__has_include(<%s>)\nMISSING %s\n#endif\n' "$header" "$header"
  done < <(grep -o 'hdr:[^ ]*' <<< "$needs" | cut -d: -f2) | g++ -x c++ -E -P - 2> /dev/null | sed -n 's/^MISSING //p'
}

missing=()
reasons=()
if command -v g++ > /dev/null; then
  absent_headers=$(missing_headers)
else
  absent_headers=$(grep -o 'hdr:[^ ]*' <<< "$needs" | cut -d: -f2)
fi
while IFS='|' read -r package probe reason; do
  package=${package// /} probe=${probe// /} reason=${reason# }
  [ -n "$package" ] || continue
  what=${probe#*:}
  case $probe in
    cmd:*) command -v "$what" > /dev/null && continue ;;
    hdr:*) grep -qxF "$what" <<< "$absent_headers" || continue ;;
    file:*) compgen -G "$what" > /dev/null && continue ;;
  esac
  missing+=("$package")
  reasons+=("  $package ($reason)")
done <<< "$needs"

install_missing() {
  local as_root=()
  echo "fastkv: installing what is missing to $level it:"
  printf '%s\n' "${reasons[@]}"
  if ! command -v apt-get > /dev/null; then
    echo "fastkv: this system has no apt-get; install the equivalents of these Debian 12 packages, then run make again" >&2
    return 2
  fi
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo > /dev/null; then
      echo "fastkv: not root and no sudo; run as root: apt-get install ${missing[*]}" >&2
      return 2
    fi
    as_root=(sudo)
  fi
  mkdir -p build
  local log=build/setup.log
  # A failed update is no reason to stop: the lists at hand may do.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update > "$log" 2>&1
  if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}" >> "$log" 2>&1; then
    tail -n 15 "$log" >&2
    echo "fastkv: apt-get could not install ${missing[*]}; the end of $log is above" >&2
    return 2
  fi
}

if [ ${#missing[@]} -gt 0 ]; then
  install_missing || exit 2
fi

# The header-only front end of cuDNN, for the fused attention of the CUDA build. Without it the CUDA back end
# is built with its own kernels, so a failure here is a notice and no more.
fetch_cudnn_frontend() {
  local folder=build/deps/cudnn-frontend
  [ -e "$folder/include/cudnn_frontend.h" ] && return
  [ -e "$folder/unavailable" ] && return
  mkdir -p "$folder"
  echo "fastkv: fetching the headers of cudnn-frontend (fused attention of the CUDA build)"
  if command -v python3 > /dev/null &&
    timeout 120 python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
      --dest "$folder" nvidia-cudnn-frontend > "$folder/pip.log" 2>&1 &&
    python3 - "$folder" << 'PY'
import glob, sys, zipfile
folder = sys.argv[1]
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel:
    for name in wheel.namelist():
        if name.startswith("include/") and ".." not in name:
            wheel.extract(name, folder)
PY
  then
    rm -f "$folder"/*.whl "$folder/pip.log"
  else
    touch "$folder/unavailable"
    echo "fastkv: not available; the CUDA build goes on without it (remove $folder to try again)"
  fi
}

if [ "${CUDA:-}" != 0 ] && { command -v nvcc > /dev/null || [ -n "${CUDACXX:-}" ]; }; then
  [ -e /usr/include/cudnn_frontend.h ] || fetch_cudnn_frontend
fi
exit 0

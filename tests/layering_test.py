#!/usr/bin/env python3
"""Fails on an include that points up, and on a device header outside the folder that owns the device.

The arrows are those of docs/architecture.md; MAY_INCLUDE is their one machine-readable form. The rules are tried on
made-up includes first, so that a check that stopped checking is noticed.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# For each folder of src/, the other folders that its files may include.
MAY_INCLUDE = {
    "base": set(),
    "tensor": {"base"},
    "io": {"base", "tensor"},
    "text": {"base", "io"},
    "backend": {"base", "tensor"},
    "kv": {"base", "tensor", "backend"},
    # A method declares what it wants and picks indices; where entries are stored is not its business.
    "method": {"base", "tensor", "backend"},
    "model": {"base", "tensor", "io", "backend", "kv"},
    "engine": {"base", "tensor", "io", "text", "backend", "kv", "method", "model"},
    "eval": {"base", "tensor", "io", "text", "backend", "kv", "method", "model", "engine"},
}

# Code above the back ends sees the interface in backend/ alone; a test may name the one it compares with.
BACKEND_INSIDE = re.compile(r"^backend/(reference|cpu|cuda)/")

CUDA_HEADER = re.compile(
    r"^(cuda\w*|cublas\w*|cudnn\w*|cusparse\w*|curand\w*|nvrtc|nccl|mma|cooperative_groups|device_launch_parameters"
    r"|driver_types|vector_types|nvml|nvtx3?)(\.h|\.hpp|\.cuh|/.*)$|^(cub|thrust|cute|cutlass|nvtx3)/"
)
# A library that only one folder may know, so that it can be replaced there.
OWNED_HEADERS = [
    (CUDA_HEADER, "backend/cuda/", "a CUDA header"),
    (re.compile(r"^(dnnl\w*\.hp{0,2}|oneapi/dnnl/.*)$"), "backend/cpu/", "a oneDNN header"),
    (re.compile(r"^hwy/"), "backend/cpu/", "a Highway header"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
SOURCE_SUFFIXES = {".cc", ".h", ".cu", ".cuh", ".inc", ".cpp", ".hpp"}


def is_test(path):
    return re.search(r"(_test|_fuzz)\.(cc|cu)$|(^|/)test\w*[._]|testing", path) is not None


def problem(path, include):
    """What is wrong with `include` in the file `path` (both relative; path starts at the root), or None."""
    inside = path[len("src/"):] if path.startswith("src/") else path
    for pattern, owner, name in OWNED_HEADERS:
        if pattern.match(include) and not inside.startswith(owner):
            return f"{name} outside src/{owner}"
    if not path.startswith("src/"):
        return None
    folder = inside.split("/")[0]
    target = include.split("/")[0]
    if not is_test(path) and target in ("tests", "apps", "bench", "fuzz"):
        return f"src/ may not include {target}/"
    if target not in MAY_INCLUDE or target == folder:
        return None
    if target not in MAY_INCLUDE[folder]:
        return f"{folder} may not include {target}"
    if BACKEND_INSIDE.match(include) and not is_test(path):
        return "only the back ends and tests may name one back end"
    return None


def rules_work():
    """The rules on made-up includes: (path, include, whether it is refused)."""
    cases = [
        ("src/base/status.h", "tensor/dtype.h", True),
        ("src/tensor/buffer.cc", "base/allocator.h", False),
        ("src/text/tokenizer.cc", "tensor/dtype.h", True),
        ("src/io/json.cc", "text/tokenizer.h", True),
        ("src/backend/cpu/matmul.cc", "kv/kv_cache.h", True),
        ("src/kv/kv_cache.cc", "method/method.h", True),
        ("src/model/decoder.cc", "method/method.h", True),
        ("src/model/decoder.cc", "backend/backend.h", False),
        ("src/method/snapkv.cc", "model/config.h", True),
        ("src/method/snapkv.cc", "kv/kv_cache.h", True),
        ("src/engine/prefill.cc", "method/method.h", False),
        ("src/engine/prefill.cc", "eval/runner.h", True),
        ("src/engine/prefill.cc", "apps/fastkv/main.h", True),
        ("src/model/decoder.cc", "backend/cpu/matmul.h", True),
        ("src/model/decoder_test.cc", "backend/reference/reference_backend.h", False),
        ("src/backend/backend.h", "cuda_runtime.h", True),
        ("src/backend/cuda/stream.cu", "cuda_runtime.h", False),
        ("src/backend/cuda/topk.cu", "cub/cub.cuh", False),
        ("apps/fastkv/doctor.cc", "cudnn.h", True),
        ("src/model/weights.cc", "dnnl.hpp", True),
        ("src/backend/cpu/matmul.cc", "dnnl.hpp", False),
        ("apps/fastkv/generate.cc", "engine/session.h", False),
        ("src/base/status.cc", "cstdint", False),
    ]
    wrong = [case for case in cases if (problem(case[0], case[1]) is not None) != case[2]]
    for path, include, refused in wrong:
        print(f"layering: the rule itself is wrong: {path} including {include} should be "
              f"{'refused' if refused else 'allowed'}")
    return not wrong


def main():
    if not rules_work():
        return 1
    unknown = [folder.name for folder in (ROOT / "src").iterdir()
               if folder.is_dir() and folder.name not in MAY_INCLUDE]
    for folder in unknown:
        print(f"layering: src/{folder} has no row in MAY_INCLUDE of tests/layering_test.py")
    problems = 0
    files = 0
    for top in ("src", "apps", "bench", "fuzz", "tests"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix not in SOURCE_SUFFIXES or not path.is_file():
                continue
            name = path.relative_to(ROOT).as_posix()
            if name.startswith("src/") and name.split("/")[1] in unknown:
                continue
            files += 1
            text = path.read_text(encoding="utf-8", errors="replace")
            for match in INCLUDE.finditer(text):
                what = problem(name, match.group(1))
                if what:
                    line = text.count("\n", 0, match.start(1)) + 1
                    print(f"{name}:{line}: {match.group(1)}: {what}")
                    problems += 1
    print(f"layering: {files} files, {problems + len(unknown)} problems")
    return 1 if problems or unknown or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

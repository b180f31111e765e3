#!/usr/bin/env python3
"""Fails where two files define a type of one name in one namespace.

The linker keeps one of two inline functions of such types, so that a program works or crashes by the order of its
objects, and no compiler says so. Types of anonymous namespaces are free. The scanner knows the project's format:
namespaces and types begin at the first column.
"""

import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE_SUFFIXES = {".cc", ".h", ".cu", ".cuh"}

OPENS = re.compile(r"(?:inline )?namespace ?([\w:]*) ?\{\s*$")
CLOSES = re.compile(r"\}\s*// namespace")
DEFINES = re.compile(r"(?:template <.*> )?(?:enum class|enum|struct|class|union) (?:alignas\(\w+\) )?(\w+)(?: final)?(?: : .*)? ?\{")


def types_of(lines):
    """The full names of the types that a file defines outside anonymous namespaces."""
    namespaces = []
    for line in lines:
        if match := OPENS.match(line):
            namespaces.append(match.group(1) or "(anonymous)")
        elif CLOSES.match(line) and namespaces:
            namespaces.pop()
        elif (match := DEFINES.match(line)) and "(anonymous)" not in namespaces:
            yield "::".join([*namespaces, match.group(1)])


def scanner_works():
    text = ["namespace fastkv {", "struct A {", "  struct Inner {", "};", "namespace {", "struct B {", "}  // namespace",
            "template <typename T> class C final : public A {", "class D;", "}  // namespace fastkv", "enum class E {"]
    return list(types_of(text)) == ["fastkv::A", "fastkv::C", "E"]


def main():
    if not scanner_works():
        print("one definition: the scanner itself is wrong")
        return 1
    files_of = collections.defaultdict(set)
    for top in ("src", "apps", "bench", "fuzz", "tests", "tools"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in SOURCE_SUFFIXES and path.is_file():
                for name in types_of(path.read_text(encoding="utf-8").splitlines()):
                    files_of[name].add(path.relative_to(ROOT).as_posix())
    twice = {name: files for name, files in files_of.items() if len(files) > 1}
    for name, files in sorted(twice.items()):
        print(f"{name} is defined in {' and in '.join(sorted(files))}: give one of them another name")
    print(f"one definition: {len(files_of)} types, {len(twice)} problems")
    return 1 if twice or not files_of else 0


if __name__ == "__main__":
    sys.exit(main())

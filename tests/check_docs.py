#!/usr/bin/env python3
"""Fails when the documentation cites a path, a make target or an option that does not exist.

usage: check_docs.py [--binary PATH]     options are compared only where the binary is given and exists
Reads README.md, CONTRIBUTING.md and every .md file in docs/. A path may hold {a,b}, * and <name>.
"""

import argparse
import itertools
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

FENCE = re.compile(r"^\s*(```|~~~)")
INLINE_CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
MAKE = re.compile(r"(?:^|[\s;&(])make((?:\s+[A-Z_]+=\S+)*)\s+([a-z][a-z0-9_-]*)")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
PATH_TOKEN = re.compile(r"^[\w.{},*<>@+/-]+$")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)


def expand_braces(text):
    """Every reading of a/{b,c}/d; nesting does not occur in documentation."""
    parts = re.split(r"\{([^{}]*)\}", text)
    choices = [[part] if i % 2 == 0 else part.split(",") for i, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def path_exists(text, base):
    for reading in expand_braces(text):
        pattern = re.sub(r"<[^<>]*>", "*", reading).rstrip("/")
        if "*" in pattern:
            if next(base.glob(pattern), None) is None:
                return False
        elif not (base / pattern).exists():
            return False
    return True


def anchors_of(path):
    """The anchors that the usual renderers make of a file's headings."""
    headings = HEADING.findall(path.read_text(encoding="utf-8"))
    plain = [re.sub(r"[`*_]|\[|\]\([^)]*\)", "", heading).lower() for heading in headings]
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading)) for heading in plain}


def code_of(text):
    """Yields (line number, code, is a whole line) for every inline code span and every line of a code block.

    A line that ends in a backslash is joined with the next.
    """
    in_block = False
    pending, pending_line = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if FENCE.match(line):
            in_block = not in_block
            continue
        if in_block or line.startswith("    "):
            if not pending:
                pending_line = number
            if line.endswith("\\"):
                pending += line[:-1] + " "
                continue
            yield pending_line, (pending + line).strip(), True
            pending = ""
        else:
            for match in INLINE_CODE.finditer(line):
                yield number, match.group(1).strip(), False


class Checker:
    def __init__(self, options):
        self.options = options  # what the program accepts, or None: not known
        self.problems = []
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        self.targets = set()
        for names in re.findall(r"^([a-z][\w -]*):(?!=)", makefile, re.MULTILINE):
            self.targets.update(names.split())
        self.tops = {entry.name for entry in ROOT.iterdir() if not entry.name.startswith("build")} - {".git"}

    def report(self, name, line, what):
        self.problems.append(f"{name}:{line}: {what}")

    def check_path(self, name, line, token):
        token = token.strip(".,;:()'\"")
        if not PATH_TOKEN.match(token) or "..." in token or token.startswith(("-", "/")):
            return
        top = token.split("/")[0]
        if top not in self.tops or ("/" not in token and "." not in token):
            return
        # models/ holds whatever the user puts there; only the model of the repository can be checked.
        if top == "models" and not token.startswith("models/needle-16m"):
            return
        if not path_exists(token, ROOT):
            self.report(name, line, f"no such path: {token}")

    def check_flags(self, name, line, code, whole_line):
        for command in re.split(r"&&|\|\||[|;]", code):
            words = command.split()
            while words and re.match(r"^[A-Z_]+=", words[0]):
                words.pop(0)
            if not words:
                continue
            program = os.path.basename(words[0])
            if program in ("python3", "bash") and len(words) > 1:
                script = ROOT / words[1]
            else:
                script = ROOT / words[0]
            flags = FLAG.findall(command)
            if program == "fastkv" or (words[0].startswith("--") and not whole_line):
                known = self.options
            elif script.is_file() and script.suffix in (".py", ".sh"):
                known = set(FLAG.findall(script.read_text(encoding="utf-8")))
            else:
                continue
            for flag in flags:
                if known is not None and flag not in known:
                    self.report(name, line, f"no such option: {flag}")

    def check_link(self, name, line, target):
        if re.match(r"^[a-z]+:", target):
            return
        path_part, _, anchor = target.partition("#")
        here = ROOT / name
        linked = here if not path_part else here.parent / path_part
        if not linked.exists():
            self.report(name, line, f"no such file: {target}")
        elif anchor and linked.suffix == ".md" and anchor not in anchors_of(linked):
            self.report(name, line, f"no such heading: {target}")

    def check(self, name, text):
        for line, code, whole_line in code_of(text):
            for _, target in MAKE.findall(code):
                if target not in self.targets and (ROOT / "Makefile").exists():
                    self.report(name, line, f"no such make target: {target}")
            for token in code.split():
                self.check_path(name, line, token)
            self.check_flags(name, line, code, whole_line)
        in_block = False
        for number, line in enumerate(text.split("\n"), 1):
            if FENCE.match(line):
                in_block = not in_block
            if not in_block:
                for target in LINK.findall(INLINE_CODE.sub("", line)):
                    self.check_link(name, number, target)


def options_of(binary):
    """Every option that the program and its subcommands print in their help."""
    def help_text(*arguments):
        result = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=60, check=False)
        return result.stdout + result.stderr

    text = help_text("--help-all") + help_text("--help")
    for subcommand in set(re.findall(r"^\s{2,}([a-z][a-z-]+)\s{2,}\S", help_text("--help"), re.MULTILINE)):
        help_of_subcommand = help_text(subcommand, "--help")
        text += help_of_subcommand
        _, _, nested = help_of_subcommand.partition("Subcommands:")
        for name in re.findall(r"^\s{2,}([a-z][a-z-]+)\s{2,}\S", nested, re.MULTILINE):
            text += help_text(subcommand, name, "--help")
    return set(FLAG.findall(text))


def rules_work():
    """The checker on a made-up page: each of these must be reported, and nothing else."""
    checker = Checker({"--known"})
    checker.targets = {"test"}
    checker.check("README.md", "\n".join([
        "`src/base/status.h`, `src/base/no_such_file.h`, `make test` and `make no-such-target`",
        "```", "build/fastkv generate --known --unknown", "```",
        "[good](CMakeLists.txt) [bad](no_such_page.md) `src/{base,no_such}/`", "`--known` `--other`",
    ]))
    expected = ["src/base/no_such_file.h", "no-such-target", "--unknown", "src/{base,no_such}/", "--other",
                "no_such_page.md"]
    found = [problem.split(": ")[-1] for problem in checker.problems]
    if sorted(found) != sorted(expected):
        print(f"docs: the check itself is wrong: reported {found}, expected {expected}")
        return False
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary")
    arguments = parser.parse_args()
    if not rules_work():
        return 1
    options = None
    if arguments.binary and os.path.exists(arguments.binary):
        options = options_of(arguments.binary)
    checker = Checker(options)
    pages = [page for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md") if page.exists()]
    pages += sorted((ROOT / "docs").rglob("*.md"))
    for page in pages:
        checker.check(page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8"))
    for problem in checker.problems:
        print(problem)
    compared = "options not compared (no binary)" if options is None else f"{len(options)} options known"
    print(f"docs: {len(pages)} pages, {compared}, {len(checker.problems)} problems")
    return 1 if checker.problems or not pages else 0


if __name__ == "__main__":
    sys.exit(main())

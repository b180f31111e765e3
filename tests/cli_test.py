#!/usr/bin/env python3
"""The built program from outside: hostile input, the contracts of the command line, interrupts.

usage: cli_test.py --binary PATH [unittest arguments]     or with FASTKV_BINARY in the environment
"""

import argparse
import os
import sys
import unittest

sys.dont_write_bytecode = True  # the source folder stays as it is

import cli_bench
import cli_calibrate
import cli_chat
import cli_contract
import cli_eval
import cli_generate
import cli_gguf
import cli_hostile_text
import cli_hostile_weights
import cli_methods
import cli_propagation
import cli_suites
import cli_support

MODULES = (
    cli_bench,
    cli_calibrate,
    cli_chat,
    cli_contract,
    cli_eval,
    cli_generate,
    cli_gguf,
    cli_hostile_text,
    cli_hostile_weights,
    cli_methods,
    cli_propagation,
    cli_suites,
)


def load_tests(loader, _tests, _pattern):
    return unittest.TestSuite(loader.loadTestsFromModule(module) for module in MODULES)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=cli_support.BINARY)
    arguments, others = parser.parse_known_args()
    if not os.path.isfile(arguments.binary):
        print(f"cli_test: no program at '{arguments.binary}'; build it, and name it with --binary")
        return 2
    cli_support.BINARY = os.path.abspath(arguments.binary)
    return 0 if unittest.main(argv=[sys.argv[0], *others], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The pages that the program writes, opened in a browser: nothing goes wrong, what should be seen is seen, and nothing
lies outside the window, on a desk and on a phone.

usage: page_test.py --binary PATH [--screenshots FOLDER] [unittest arguments]     or with FASTKV_BINARY in the environment
"""

import argparse
import json
import os
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True  # the source folder stays as it is

import cli_support
import headless_browser
from cli_support import CONFIG, NEEDLE_MODEL, ROOT, CliTest, run

WIDTHS = {"desk": 1280, "phone": 400}
SMALLEST_TEXT_PIXELS = 10

# The size of the smallest text as it is seen, with the text: drawings are scaled to the window.
SMALLEST_TEXT = """(() => {
  let smallest = [1e9, ''];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), owner = walker.currentNode.parentElement;
    if (!text || owner.tagName === 'TITLE' || !owner.getClientRects().length) continue;
    const matrix = owner.getScreenCTM ? owner.getScreenCTM() : {a: 1, b: 0};
    const scale = Math.hypot(matrix.a, matrix.b);
    const size = parseFloat(getComputedStyle(owner).fontSize) * scale;
    if (size < smallest[0]) smallest = [size, text.slice(0, 40)];
  }
  return smallest;
})()"""

# How many elements of a kind are seen, and in how many colours.
SEEN = """((selector) => {
  const seen = [...document.querySelectorAll(selector)].filter(e => e.getBoundingClientRect().width > 0 &&
                                                                    e.getBoundingClientRect().height > 0);
  return {count: seen.length, colours: new Set(seen.map(e => getComputedStyle(e).backgroundColor)).size};
})"""


class Pages(CliTest):
    screenshots = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.browser = headless_browser.Browser(headless_browser.find_program())
        cls.addClassCleanup(cls.browser.close)

    def seen(self, selector):
        return self.browser.evaluate(f"{SEEN}({json.dumps(selector)})")

    def check(self, name, page, **counts):
        """Opens the page in every width. `counts` gives, for each selector, how many such elements are to be seen."""
        for window, width in WIDTHS.items():
            with self.subTest(page=name, window=window):
                self.assertEqual(self.browser.open(page, width), [])
                self.browser.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
                self.assertLessEqual(self.browser.evaluate("document.documentElement.scrollWidth"), width,
                                     "the page is wider than the window")
                size, text = self.browser.evaluate(SMALLEST_TEXT)
                self.assertGreaterEqual(size, SMALLEST_TEXT_PIXELS, f"'{text}' is too small to read")
                for selector, count in counts["seen"].items():
                    self.assertEqual(self.seen(selector)["count"], count, selector)
                self.photograph(page, f"{name}-{window}", width)

    def photograph(self, page, name, width):
        if not self.screenshots:
            return
        for colours in ("light", "dark"):
            self.browser.open(page, width, dark=colours == "dark")
            self.browser.screenshot(self.screenshots / f"{name}-{colours}.png")

    def test_evaluation(self):
        self.succeeds(run("eval", "niah", "--model", NEEDLE_MODEL, "--lengths", "256,384", "--depths", "0,50,100",
                          "--samples", 1, "--methods", "full,snapkv,streamingllm", "--output", self.folder / "out"))
        page = self.folder / "out" / "report.html"
        self.check("evaluation", page, seen={"table.scores": 3, "figure.depths": 3, "figure.depths td": 18,
                                             "figure.chart svg[role=img]": 2})
        self.assertEqual(self.seen("figure.depths td")["colours"], 2, "found and missed needles look different")

    def test_selection(self):
        page = self.folder / "demo.html"
        self.succeeds(run("demo", "--model", NEEDLE_MODEL, "--context", 512, "--questions", 1, "-q", "-o", page))
        self.check("selection", page, seen={})

    def test_speed(self):
        page = self.folder / "speed.html"
        self.succeeds(run("bench", "-q", "--ceiling-ms", 0, "-n", 2, "-r", 2, "--shape",
                          self.write("shape.json", json.dumps(CONFIG)), "--contexts", "40,80", "--methods",
                          "full,snapkv,fastkv", "--page", page, "--json"))
        self.check("speed", page, seen={})

    def test_calibration(self):
        prompts = self.write("prompts.jsonl", json.dumps({"prompt": "the quick brown fox jumps over it " * 5}) + "\n")
        page = self.folder / "curve.html"
        self.succeeds(run("calibrate", "--model", self.model, "--prompts", prompts, "--layers", "0-2", "--json", "--page",
                          page))
        self.check("calibration", page, seen={})

    def test_published_results(self):
        for page in sorted((ROOT / "docs" / "results").glob("*/report.html")):
            self.check(page.parent.name, page, seen={})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=cli_support.BINARY)
    parser.add_argument("--screenshots", type=pathlib.Path, help="also write a picture of every page to this folder")
    arguments, others = parser.parse_known_args()
    if not os.path.isfile(arguments.binary):
        print(f"page_test: no program at '{arguments.binary}'; build it, and name it with --binary")
        return 2
    if not headless_browser.find_program():
        print(f"page_test: none of {', '.join(headless_browser.PROGRAMS)} is installed; tools/setup.sh test installs it")
        return 2
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    cli_support.BINARY = os.path.abspath(arguments.binary)
    Pages.screenshots = arguments.screenshots
    return 0 if unittest.main(argv=[sys.argv[0], *others], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())

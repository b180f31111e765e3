"""`fastkv eval`: what it writes, going on after it was killed, and what it refuses."""

import json
import os
import random
import re
import signal
import subprocess
import time

import cli_support
from cli_support import NEEDLE_MODEL, CliTest, run

# Times alone differ between two runs of one evaluation.
COMPARED = ("manifest.json", "samples.jsonl", "summary.json", "summary.csv", "summary.md", "report.html")
NUM_KILLS = 50 if os.environ.get("FASTKV_FULL_TESTS") else 3


class Eval(CliTest):
    def command(self, output, *arguments, suite="needle-tasks"):
        return ("eval", suite, "--model", NEEDLE_MODEL, "--length", 256, "--samples", 2, "--tasks", "number,many",
                "--methods", "full,fastkv,snapkv", "--seed", 7, "--output", self.folder / output, *arguments)

    def changed(self, output, option, value):
        """The command with another value of an option that it has, or with a further one."""
        command = list(self.command(output))
        if option not in command:
            return [*command, option, value]
        command[command.index(option) + 1] = value
        return command

    def evaluate(self, output, *arguments, **options):
        return self.succeeds(run(*self.command(output, *arguments, **options)))

    def compared(self, output):
        return {name: (self.folder / output / name).read_bytes() for name in COMPARED}

    def lines(self, output):
        return [json.loads(line) for line in (self.folder / output / "samples.jsonl").read_text().splitlines()]

    def test_layer_of_the_profile(self):
        profile = self.folder / "profile.json"
        self.succeeds(run("calibrate", "--model", NEEDLE_MODEL, "--samples", 1, "--length", 256, "--continuation", 2,
                          "--layers", 3, "--profile", profile))
        shares = []
        for output, arguments in (("half", ()), ("profile", ("--profile", profile))):
            summary = self.evaluate(output, "--json", *arguments).json()
            shares.append(summary["runs"][1]["prefill_flops_share"])
        self.assertLess(shares[1], shares[0] - 0.1)
        identity = json.loads((self.folder / "profile" / "manifest.json").read_text())["identity"]
        self.assertEqual(identity["runs"][1]["tsp_layer"], 3)

    def test_summary(self):
        summary = self.evaluate("out", "--json", "--kv-rates", "0.1,0.3").json()
        self.assertEqual([entry["run"] for entry in summary["runs"]],
                         ["full", "fastkv 10 %", "fastkv 30 %", "snapkv 10 %", "snapkv 30 %"])
        self.assertEqual(summary["suite"], "needle-tasks")
        self.assertEqual(summary["profile"], "native")
        self.assertEqual(summary["samples"], 4)
        self.assertEqual(json.loads((self.folder / "out" / "summary.json").read_text()), summary)
        full = summary["runs"][0]
        self.assertEqual([(cell["task"], cell["length"], cell["samples"]) for cell in full["cells"]],
                         [("number", 256, 2), ("many", 256, 2)])
        self.assertEqual(full["average"]["mean"], 1, "the model answers short prompts")
        self.assertEqual(full["kept_share"], 1)
        self.assertEqual(full["prefill_flops_share"], 1)
        kept = [entry["kept_share"] for entry in summary["runs"]]
        self.assertLess(kept[3], kept[4])
        self.assertLess(summary["runs"][1]["prefill_flops_share"], 0.8, "fastkv propagates a part")
        self.assertAlmostEqual(summary["runs"][3]["prefill_flops_share"], 1, delta=0.01,
                               msg="snapkv propagates all; scoring is next to nothing")

    def test_samples(self):
        self.evaluate("out")
        lines = self.lines("out")
        self.assertEqual(len(lines), 2 * 2 * 3)
        self.assertEqual([line["run"] for line in lines[:3]], ["full", "fastkv 10 %", "snapkv 10 %"])
        for line in lines:
            self.assertIsNone(line["error"])
            self.assertEqual(line["suite"], "needle-tasks")
            self.assertTrue(232 <= line["prompt_tokens"] <= 256, line["prompt_tokens"])
            found = sum(part in line["output"] for part in line["expected"])
            self.assertAlmostEqual(line["score"], found / len(line["expected"]))
        for first, second in zip(lines[::3], lines[1::3]):
            self.assertEqual(first["prompt_hash"], second["prompt_hash"], "one prompt for all methods")
        timings = [json.loads(line) for line in (self.folder / "out" / "timings.jsonl").read_text().split("\n") if line]
        self.assertEqual(len(timings), len(lines))
        table = (self.folder / "out" / "timings.csv").read_text()
        self.assertRegex(table, r"(?m)^full,256,4,[0-9.]+,[0-9]+,[0-9.]+$")

    def test_report(self):
        self.evaluate("out")
        page = (self.folder / "out" / "report.html").read_text()
        self.assertIn("<table class=\"scores\">", page)
        self.assertIn("Score against KV memory", page)
        self.assertNotIn("<script", page)
        self.assertNotIn("http", page)
        self.assertNotIn(str(self.folder), page)
        self.assertLess(len(page), 1 << 20)
        self.assertIn("| snapkv 10 % |", (self.folder / "out" / "summary.md").read_text())
        self.assertIn("\nsnapkv 10 %,snapkv,number,256,2,0,", (self.folder / "out" / "summary.csv").read_text())

    def test_needle_in_a_haystack(self):
        summary = self.succeeds(run("eval", "niah", "--model", NEEDLE_MODEL, "--lengths", "256,384", "--depths", "0,50,100",
                                    "--samples", 1, "--methods", "full,snapkv", "--output", self.folder / "out",
                                    "--json")).json()
        self.assertEqual([(cell["length"], cell["depth"]) for cell in summary["runs"][0]["depths"]],
                         [(length, depth) for length in (256, 384) for depth in (0, 50, 100)])
        page = (self.folder / "out" / "report.html").read_text()
        self.assertIn("Where the needle is found", page)
        self.assertEqual(len(re.findall("class=\"depths\"", page)), 2)

    def test_the_same_arguments_give_the_same_bytes(self):
        self.evaluate("one")
        self.evaluate("two", "--threads", 1)
        self.assertEqual(self.compared("one")["samples.jsonl"], self.compared("two")["samples.jsonl"])
        again = self.compared("one")
        self.evaluate("one")
        self.assertEqual(self.compared("one"), again, "a complete evaluation stays as it is")

    def test_goes_on_after_kills(self):
        began = time.monotonic()
        self.evaluate("whole")
        duration = time.monotonic() - began
        whole = self.compared("whole")
        draw = random.Random(11)
        kills = 0
        while kills < NUM_KILLS:
            output = f"killed{kills}"
            # Some folders are hit several times before they are complete.
            for _ in range(draw.randint(1, 3)):
                process = subprocess.Popen([cli_support.BINARY, *map(str, self.command(output))],
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                           env=cli_support.environment(), cwd=cli_support.ROOT)
                time.sleep(draw.uniform(0, duration))
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
            self.evaluate(output)
            self.assertEqual(self.compared(output), whole)

    def test_goes_on_after_a_torn_line(self):
        self.evaluate("out")
        whole = self.compared("out")
        path = self.folder / "out" / "samples.jsonl"
        path.write_bytes(whole["samples.jsonl"][:-100])
        result = self.evaluate("out")
        self.assertIn("cut off", result.err)
        self.assertEqual(self.compared("out"), whole)
        damaged = bytearray(whole["samples.jsonl"])
        damaged[20] ^= 1
        path.write_bytes(damaged)
        self.fails(run(*self.command("out")), 2, "line 1 is damaged")

    def test_interrupted(self):
        process = subprocess.Popen([cli_support.BINARY, *map(str, self.changed("out", "--samples", 200))],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli_support.environment(),
                                   cwd=cli_support.ROOT)
        while not (self.folder / "out" / "samples.jsonl").exists():
            self.assertIsNone(process.poll())
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=cli_support.HANG_SECONDS)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(out, b"")
        self.assertIn(b"interrupted", err)
        self.assertFalse((self.folder / "out" / "summary.json").exists())

    def test_other_evaluations_do_not_mix(self):
        self.evaluate("out")
        before = self.compared("out")
        for option, value, named in (("--seed", 8, "settings.seed is 7 there and 8 here"),
                                     ("--samples", 3, "settings.samples"), ("--length", 300, "settings.lengths"),
                                     ("--kv-rate", "0.2", "runs.1.kv.rate"), ("--methods", "full", "runs.1"),
                                     ("--window", 16, "runs.0.window"), ("--dtype", "bf16", "arithmetic"),
                                     ("--kv-dtype", "int8", "arithmetic"), ("--weights", "int8", "arithmetic"),
                                     ("--shard", "1/2", "shard")):
            with self.subTest(option):
                self.fails(run(*self.changed("out", option, value)), 2, "holds another evaluation", named)
        self.assertEqual(self.compared("out"), before)

    def test_shards(self):
        self.evaluate("whole")
        for part in (1, 2, 3):
            self.evaluate(f"part{part}", "--shard", f"{part}/3")
        parts = [self.folder / f"part{part}" for part in (3, 1, 2)]
        summary = self.succeeds(run("eval", "merge", *parts, "--output", self.folder / "merged", "--json")).json()
        self.assertEqual(self.compared("merged"), self.compared("whole"))
        self.assertEqual(summary, json.loads(self.compared("whole")["summary.json"]))
        self.fails(run("eval", "merge", *parts[:2], "--output", self.folder / "other"), 2, "shard 2/3 is missing")
        self.fails(run("eval", "merge", *parts), 2, "--output")

    def test_questions_share_their_context(self):
        def ask(output, *arguments):
            return run("eval", "needle-tasks", "--model", NEEDLE_MODEL, "--length", 384, "--samples", 4,
                       "--questions-per-context", 3, "--tasks", "number", "--methods", "full,knorm,snapkv",
                       "--output", self.folder / output, *arguments)

        self.succeeds(ask("alone"))
        self.succeeds(ask("whole", "--share-context"))
        whole = self.compared("whole")
        self.assertIn(b"without their questions, by full, knorm 10 %;", whole["summary.md"])
        for one, other in zip(self.lines("alone"), self.lines("whole")):
            self.assertEqual(one["prompt_hash"], other["prompt_hash"])
            if one["run"] != "knorm 10 %":
                self.assertEqual(one["output_ids"], other["output_ids"])
        self.fails(ask("alone", "--share-context"), 2, "holds another evaluation", "shares_context")

        lines = whole["samples.jsonl"].splitlines(keepends=True)
        for num_done in (2, 4, 6):
            with self.subTest(num_done=num_done):
                path = self.folder / "whole" / "samples.jsonl"
                path.write_bytes(b"".join(lines[:num_done]))
                self.succeeds(ask("whole", "--share-context"))
                self.assertEqual(self.compared("whole"), whole)

        for part in (1, 2):
            self.succeeds(ask(f"part{part}", "--share-context", "--shard", f"{part}/2"))
        self.succeeds(run("eval", "merge", self.folder / "part1", self.folder / "part2",
                          "--output", self.folder / "merged"))
        self.assertEqual(self.compared("merged"), whole)

    def test_rescoring(self):
        self.evaluate("out")
        before = self.compared("out")
        for name in ("summary.json", "report.html"):
            (self.folder / "out" / name).unlink()
        self.succeeds(run("eval", "--output", self.folder / "out", "--rescore", "--model", "no/such/model"))
        self.assertEqual(self.compared("out"), before)

    def test_bad_input(self):
        good = self.command("out")
        for arguments, named in ((good[:-2], "--output"), (("eval", "--output", self.folder / "out"), "needle-tasks"),
                                 (self.command("out", suite="needles"), "needle-tasks"),
                                 (self.command("out", "--shard", "3/2"), "1/4"),
                                 (self.command("out", "--kv-rates", "0.1", "--kv-rate", "0.2"), "--kv-rates"),
                                 (self.command("out", "--kv-rates", "2"), "--kv-rate is 2"),
                                 (("eval", "needle-tasks", "--length", 100, "--output", self.folder / "out"), "at least 256"),
                                 (("eval", "needle-tasks", "--length", 40000, "--output", self.folder / "out"), "32768"),
                                 (("eval", "needle-tasks", "--tasks", "numbers", "--output", self.folder / "out"), "numbers"),
                                 (("eval", "needle-tasks", "--methods", "full,none", "--output", self.folder / "out"), "none"),
                                 (("eval", "niah", "--data", self.folder, "--length", 600, "--output", self.folder / "out"),
                                  "no essays"),
                                 (self.command("out", "--questions-per-context", 65), "--questions-per-context"),
                                 (self.command("out", "--questions-per-context", 2, suite="niah"), "needle-tasks"),
                                 (self.command("out", "--share-context", suite="niah"), "longbench"),
                                 (("eval", "--rescore", "--output", self.folder / "nothing"), "manifest.json")):
            with self.subTest(arguments[1:]):
                self.fails(run(*arguments), 2, named)
        self.assertFalse((self.folder / "out").exists(), "nothing is made before everything is checked")

    def test_a_folder_that_cannot_be_made(self):
        self.fails(run(*self.command(self.write("file", "x"))), 2, "folder")

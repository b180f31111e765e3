"""`fastkv calibrate`: its report, its profile, and the runs that read the profile."""

import json
import os
import unittest

from cli_support import CliTest, run


class Calibrate(CliTest):
    def setUp(self):
        super().setUp()
        self.prompts = self.write("prompts.jsonl", "\n".join(
            json.dumps({"prompt": f"prompt {i}: " + "the quick brown fox jumps over it " * 5}) for i in range(3)))
        self.profile = self.model / "fastkv.json"

    def calibrate(self, *arguments, prompts=None, layers="0-2"):
        return run("calibrate", "--model", self.model, "--prompts", prompts or self.prompts, "--layers", layers,
                   *arguments)

    def cut_layer(self, *arguments, model=None):
        """The layer after which fewer tokens go on in a run that names no layer."""
        report = self.succeeds(self.inspect("--new-tokens", 1, *arguments, model=model)).json()
        tokens = [layer["tokens_in"] for layer in report["layers"]]
        return next(i for i in range(len(tokens) - 1) if tokens[i + 1] < tokens[i])

    def test_report_and_profile(self):
        page = self.folder / "curve.html"
        report = self.succeeds(self.calibrate("--json", "--page", page)).json()
        self.assertEqual([layer["layer"] for layer in report["curve"]], [0, 1, 2])
        self.assertIn(report["tsp_layer"], [0, 1, 2])
        self.assertEqual(len(report["prompts"]["tokens"]), 3)
        self.assertEqual(report["profile_path"], str(self.profile))
        written = json.loads(self.profile.read_text())
        for name in ("tsp_layer", "curve", "settings", "model", "prompts"):
            self.assertEqual(written[name], report[name])
        self.assertIn("<svg", page.read_text())
        self.assertEqual(self.cut_layer(), report["tsp_layer"])

    def test_text(self):
        result = self.succeeds(self.calibrate())
        self.assertIn("3 prompts say little", result.out)
        self.assertIn(str(self.profile), result.out)
        self.assertEqual(result.err, "")

    def test_the_layer_comes_from_flag_profile_or_half(self):
        self.assertEqual(self.cut_layer(), 1)
        self.succeeds(self.calibrate(layers="2"))
        self.assertEqual(self.cut_layer(), 2)
        self.assertEqual(self.cut_layer("--tsp-layer", 0), 0)
        other = self.folder / "other.json"
        self.succeeds(self.calibrate("--profile", other, layers="0"))
        self.assertEqual(self.cut_layer("--profile", other), 0)
        self.assertEqual(self.cut_layer(), 2)
        self.assertEqual(json.loads(self.profile.read_text())["tsp_layer"], 2)

    def test_a_damaged_or_foreign_profile_says_what_to_do(self):
        self.succeeds(self.calibrate())
        good = json.loads(self.profile.read_text())
        for content in ("", "{", "[]", "{}", json.dumps({**good, "tsp_layer": 3}),
                        json.dumps({**good, "model": "0" * 16}), json.dumps({**good, "version": 99})):
            with self.subTest(content[:60]):
                self.profile.write_text(content)
                self.fails(self.inspect(), 2, "fastkv.json", "fastkv calibrate")
        self.fails(self.inspect("--profile", self.folder / "none.json"), 2, "none.json")
        # The command that makes profiles replaces a damaged one.
        self.succeeds(self.calibrate())
        self.succeeds(self.inspect("--new-tokens", 1))

    @unittest.skipIf(os.geteuid() == 0, "a superuser can write everywhere")
    def test_a_folder_that_cannot_be_written(self):
        self.model.chmod(0o555)
        try:
            result = self.calibrate("--json")
        finally:
            self.model.chmod(0o755)
        self.refuses_profile(result)

    def test_a_place_that_does_not_exist(self):
        self.refuses_profile(self.calibrate("--json", "--profile", self.folder / "nowhere" / "p.json"))
        result = self.calibrate("--json", "--page", self.folder / "nowhere" / "p.html")
        self.assertNotEqual(result.status, 0)
        self.assertIn("--page", result.err)
        self.assertTrue(self.profile.exists())

    def refuses_profile(self, result):
        """The result is printed all the same; one line says what is missing."""
        self.assertNotEqual(result.status, 0, result)
        self.assertIn("tsp_layer", result.json())
        self.assertEqual(result.err.count("\n"), 1, result)
        self.assertIn("--profile", result.err)

    def test_no_profile(self):
        report = self.succeeds(self.calibrate("--json", "--no-profile")).json()
        self.assertIsNone(report["profile_path"])
        self.assertFalse(self.profile.exists())

    def test_text_files_are_one_prompt_each(self):
        first = self.write("a.txt", "one prompt that is long enough " * 5)
        second = self.write("b.txt", "another prompt\nof two lines " * 5)
        report = self.succeeds(run("calibrate", "--model", self.model, "--prompts", first, second, "--json",
                                   "--continuation", 0)).json()
        self.assertEqual(report["prompts"]["tokens"], [first.stat().st_size, second.stat().st_size])
        self.assertEqual(report["prompts"]["compared_positions"], 2)

    def test_a_threshold_beyond_reach_falls_back(self):
        report = self.succeeds(self.calibrate("--json", "--tau", 0)).json()
        self.assertTrue(report["fallback"])
        self.assertEqual(report["tsp_layer"], 1)

    def test_wrong_input(self):
        broken = self.write("broken.jsonl", '{"prompt": "a"}\n{"prompt"')
        unnamed = self.write("unnamed.jsonl", '{"text": "a long enough prompt, surely"}')
        short = self.write("short.txt", "short")
        for prompts, arguments, *named in (
                (broken, ("--continuation", 0), "broken.jsonl line 2"),
                (unnamed, (), "unnamed.jsonl line 1", "prompt"),
                (short, (), "short.txt", "16"),
                (short, ("--continuation", 0), "prompt 1", "all would go on"),
                (self.folder / "missing.txt", (), "missing.txt"),
                (None, ("--length", 2048), "--length"),
                (None, ("--tau", -1), "--tau"),
                (None, ("--kernel", 4), "--kernel"),
                (None, ("--tsp-rate", 0), "--tsp-rate"),
                (None, ("--tsp-rate", 0.5, "--tsp-tokens", 4), "--tsp-tokens"),
                (None, ("--continuation", 1000), "--continuation"),
                (None, ("--samples", 0), "--samples")):
            with self.subTest((prompts, arguments)):
                self.fails(self.calibrate(*arguments, prompts=prompts), 2, *named)

    def test_wrong_layers(self):
        for layers in ("2-1", "0-9", "one", "1-", "-1", "1-2-3", "9" * 30):
            with self.subTest(layers):
                self.fails(self.calibrate(layers=layers), 2, "--layers")
        self.fails(self.calibrate(layers="0-9"), 2, "--layers is 0-9", "0-2")

"""`fastkv eval` with the suites of public benchmarks, and `fastkv eval score`."""

import json
import subprocess

from cli_support import NEEDLE_MODEL, ROOT, CliTest, run

RULER_TOKENS = 1024


class Score(CliTest):
    def lines(self):
        """Predictions with the scores that the public programs give, and the folder of the dictionary for them."""
        archive = ROOT / "tests" / "testdata" / "scorers.tar.xz"
        subprocess.run(["tar", "-xJf", archive, "-C", self.folder], check=True)
        return [json.loads(line) for line in (self.folder / "scorers.jsonl").read_text().splitlines()]

    def score(self, *arguments):
        result = self.succeeds(run("eval", "score", "--input", self.folder / "scorers.jsonl", "--json", *arguments))
        return [json.loads(line) for line in result.out.splitlines()]

    def test_scores_are_those_of_the_public_programs(self):
        expected = self.lines()
        given = self.score("--jieba-dict", self.folder / "jieba")
        self.assertEqual([line["id"] for line in given], [line["id"] for line in expected])
        for got, want in zip(given, expected):
            self.assertAlmostEqual(got["score"], want["score"], delta=1e-9, msg=got["id"])

    def test_without_a_dictionary(self):
        needed = [line["id"] for line in self.lines() if line.get("needs_jieba")]
        missing = [line for line in self.score() if line["score"] is None]
        self.assertEqual([line["id"] for line in missing], needed)
        self.assertEqual({line["unsupported"] for line in missing}, {"jieba"})

    def test_bad_input(self):
        good = json.dumps({"id": 1, "suite": "ruler", "task": "vt", "prediction": "", "answers": ["a"]})
        for text, named in ((good + "\n{", "line 2"), (good.replace("vt", "tv"), "tv"), ("\n\n[]", "line 3")):
            with self.subTest(text):
                result = run("eval", "score", "--input", self.write("input.jsonl", text), "--json")
                self.fails(result, 2, named)
                self.assertEqual(result.out, "")
        self.fails(run("eval", "score", "--input", self.folder / "none"), 2, "none")
        self.fails(run("eval", "score"), 2, "--input")


class Ruler(CliTest):
    def generate(self, task, output, *arguments, length=RULER_TOKENS, model=NEEDLE_MODEL):
        return run("eval", "ruler", "--generate-only", "--task", task, "--length", length, "--samples", 3,
                   "--model", model, "--output", self.folder / output, *arguments)

    def test_generates_without_weights(self):
        folder = self.folder / "tokenizer"
        folder.mkdir()
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).write_bytes((NEEDLE_MODEL / name).read_bytes())
        self.succeeds(self.generate("vt", "one", model=folder))

    def test_lines_tell_their_length(self):
        self.succeeds(self.generate("niah_multivalue", "one", "--seed", 5))
        samples = [json.loads(line) for line in (self.folder / "one").read_text().splitlines()]
        self.assertEqual([sample["index"] for sample in samples], [0, 1, 2])
        batch = self.write("batch.json", json.dumps([s["input"] + s["answer_prefix"] for s in samples]))
        counted = self.succeeds(run("tokenize", "--model", NEEDLE_MODEL, "--batch", batch, "--json")).json()
        for sample, prompt in zip(samples, counted):
            self.assertEqual(sample["length"], len(prompt["ids"]) + 128)
            self.assertTrue(0.98 * RULER_TOKENS <= sample["length"] <= RULER_TOKENS)
            self.assertEqual(len(sample["outputs"]), 4)
        self.succeeds(self.generate("niah_multivalue", "again", "--seed", 5))
        self.assertEqual((self.folder / "one").read_bytes(), (self.folder / "again").read_bytes())

    def test_from_generated_file_to_report(self):
        data = self.folder / "data" / str(RULER_TOKENS)
        data.mkdir(parents=True)
        self.succeeds(self.generate("niah_single_1", data / "niah_single_1.jsonl"))
        summary = self.succeeds(run("eval", "ruler", "--model", NEEDLE_MODEL, "--data", data.parent, "--tasks",
                                    "niah_single_1", "--samples", 2, "--methods", "full", "--output",
                                    self.folder / "out", "--json")).json()
        self.assertEqual(summary["profile"], "official")
        self.assertEqual([(cell["task"], cell["length"], cell["samples"]) for cell in summary["runs"][0]["cells"]],
                         [("niah_single_1", RULER_TOKENS, 2)])
        lines = [json.loads(line) for line in (self.folder / "out" / "samples.jsonl").read_text().splitlines()]
        for line in lines:
            self.assertIsNone(line["error"])
            self.assertLessEqual(len(line["output_ids"]), 128)
            value = line["expected"]["answers"][0]
            self.assertEqual(line["score"], float(value in line["output"]))

    def test_bad_input(self):
        self.fails(self.generate("vt,cwe", "out"), 2, "one --task")
        self.fails(self.generate("vt", "out", length="1024,2048"), 2, "one --length")
        self.fails(self.generate("vt", "out", length=100), 2, "at least 1024")
        self.fails(run("eval", "niah", "--generate-only", "--output", self.folder / "out"), 2, "ruler")
        self.fails(self.generate("niah", "out"), 2, "niah_single_1")
        self.assertFalse((self.folder / "out").exists())


class Suites(CliTest):
    def test_what_is_missing_is_named(self):
        output = ("--model", NEEDLE_MODEL, "--output", self.folder / "out")
        for suite, arguments, named in (("longbench", (), "--data"), ("infinitebench", (), "--data"),
                                        ("longbench", ("--data", self.folder), "dataset2prompt.json"),
                                        ("infinitebench", ("--data", self.folder), "prompt.py"),
                                        ("ruler", ("--data", self.folder), "niah_single_1"),
                                        ("ruler", ("--rules", "mine"), "mine"),
                                        ("longbench", ("--data", self.folder, "--jieba-dict", self.folder), "dict.txt")):
            with self.subTest(suite, arguments=arguments):
                self.fails(run("eval", suite, *arguments, *output), 2, named)
        self.assertFalse((self.folder / "out").exists())

"""What `inspect`, `version` and the method flags promise to scripts."""

import json
import math

import cli_support
from cli_support import CliTest, run

NUM_LAYERS = cli_support.CONFIG["num_hidden_layers"]
NUM_KV_HEADS = cli_support.CONFIG["num_key_value_heads"]
HEAD_DIM = cli_support.CONFIG["head_dim"]
VOCAB_SIZE = cli_support.CONFIG["vocab_size"]
WINDOW = 8


class Usage(CliTest):
    def test_wrong_flags(self):
        for arguments, named in (
                ((), "subcommand"),
                (("no-such-command",), "no-such-command"),
                (("inspect", "--no-such-flag"), "--"),
                (("inspect", "--model", self.model), "--ids"),
                (("chat-template", "--model", self.model), "--messages"),
                (("generate", "--kv-rate", "much"), "--kv-rate"),
                (("generate", "--threads", "0"), "--threads"),
                (("generate", "--threads", "-1"), "--threads"),
                (("generate", "--dtype", "f8"), "--dtype"),
                (("generate", "--kv-dtype", "int4"), "--kv-dtype"),
                (("calibrate", "--kv-dtype", "int8"), "--kv-dtype"),
                (("generate", "--pooling", "min"), "--pooling"),
                (("generate", "-n", "-1"), "--max-new-tokens"),
                (("generate", "-n", "1.5"), "--max-new-tokens"),
                (("inspect", "--ids", self.ids, "--block-tokens", "-1"), "--block-tokens"),
                (("generate", "--model"), "--model"),
                (("generate", "-p", "x", "surplus"), "surplus")):
            with self.subTest(arguments):
                self.fails(run(*arguments), 2, named)

    def test_values_of_method_flags(self):
        for arguments, *named in (
                (("--method", "magic"), "magic", "full", "fastkv", "snapkv"),
                (("--method", ""), "method", "fastkv"),
                (("--kv-rate", "0"), "--kv-rate"),
                (("--kv-rate", "1.5"), "--kv-rate", "1.5"),
                (("--kv-rate", "-0.1"), "--kv-rate"),
                (("--kv-rate", "nan"), "--kv-rate"),
                (("--kv-rate", "inf"), "--kv-rate"),
                (("--kv-tokens", "0"), "--kv-tokens"),
                (("--kv-tokens", "-5"), "--kv-tokens"),
                (("--tsp-rate", "0"), "--tsp-rate"),
                (("--tsp-rate", "1.01"), "--tsp-rate"),
                (("--tsp-tokens", "0"), "--tsp-tokens"),
                (("--tsp-layer", NUM_LAYERS - 1), "--tsp-layer", NUM_LAYERS, NUM_LAYERS - 2),
                (("--tsp-layer", "-1"), "--tsp-layer"),
                (("--kernel", "4"), "--kernel", "odd"),
                (("--kernel", "0"), "--kernel"),
                (("--kernel", "-3"), "--kernel"),
                (("--window", "0"), "--window"),
                (("--compression-ratio", "1"), ""),
                (("--kv-rate", "0.1", "--kv-tokens", "5"), "--kv-rate", "--kv-tokens"),
                (("--kv-rate", "0.1", "--compression-ratio", "0.9"), "--kv-rate", "--compression-ratio"),
                (("--tsp-rate", "0.1", "--tsp-tokens", "5"), "--tsp-rate", "--tsp-tokens"),
                (("--device", "tpu"), "tpu")):
            with self.subTest(arguments):
                self.fails(self.inspect(*arguments), 2, *named)
                self.fails(self.generate("-q", "-p", "x", *arguments), 2, *named)

    def test_numbers_far_above_the_prompt(self):
        for flag, tokens_in, kv_len in (("--window", 200, 200), ("--kv-tokens", 200, 200), ("--tsp-tokens", 200, 20)):
            with self.subTest(flag):
                layers = self.succeeds(self.inspect(flag, 2**62)).json()["layers"]
                self.assertEqual([(layer["tokens_in"], layer["kv_len"]) for layer in layers],
                                 [(tokens_in, kv_len)] * NUM_LAYERS)
        # Pooled over everything, all scores are equal, and the first entries win.
        layers = self.succeeds(self.inspect("--kernel", 2**62 + 1)).json()["layers"]
        self.assertEqual(layers[0]["kept"], [[*range(12), *range(192, 200)]] * NUM_KV_HEADS)

    def test_sampling_flags(self):
        for flag, value in (("--temperature", "-1"), ("--temperature", "nan"), ("--top-k", "-1"), ("--top-p", "0"),
                            ("--top-p", "1.1"), ("--min-p", "1"), ("--repeat-penalty", "0"), ("--seed", "-1")):
            with self.subTest(flag=flag, value=value):
                self.fails(self.generate("-p", "x", flag, value), 2, flag)

    def test_version(self):
        version = (cli_support.ROOT / "VERSION").read_text().strip()
        report = self.succeeds(run("version", "--json")).json()
        self.assertIsInstance(report, dict)
        self.assertEqual(report["version"], version)
        for arguments in (("--version",), ("version",)):
            result = self.succeeds(run(*arguments))
            self.assertIn(version, result.out)
            self.assertEqual((result.out.count("\n"), result.err), (1, ""))

    def test_help_goes_to_standard_output(self):
        for arguments in (("--help",), ("generate", "--help"), ("inspect", "-h")):
            result = self.succeeds(run(*arguments))
            self.assertIn("Usage", result.out)
            self.assertEqual(result.err, "")

    def test_environment_variables(self):
        def lengths(result):
            return [layer["kv_len"] for layer in self.succeeds(result).json()["layers"]]

        by_environment = {"FASTKV_KV_RATE": "0.5", "FASTKV_METHOD": "snapkv"}
        self.assertEqual(lengths(self.inspect(env=by_environment)), [100] * NUM_LAYERS)
        self.assertEqual(lengths(self.inspect("--kv-rate", 0.25, env=by_environment)), [50] * NUM_LAYERS)
        self.assertEqual(lengths(self.inspect("--method", "full", env=by_environment)), [200] * NUM_LAYERS)
        self.fails(self.inspect(env={"FASTKV_KV_RATE": "2"}), 2, "--kv-rate")
        self.fails(self.inspect(env={"FASTKV_KV_RATE": "much"}), 2, "kv")


class Inspect(CliTest):
    """Prompt: 200 tokens. Expected sizes are worked out here from the definitions of the methods."""

    def report(self, *arguments, dtype="f32", **options):
        result = self.succeeds(self.inspect("--dtype", dtype, "--new-tokens", 6, *arguments, **options))
        self.assertEqual(result.err, "", result)
        return result.json()

    def check_report(self, report, num_tokens, tokens_in, kv_len, propagated):
        """Fields, types and the arithmetic between them, for a method that keeps equally much in each head."""
        self.assertEqual(report["prompt_tokens"], num_tokens)
        self.assertEqual(len(report["last_logits"]), VOCAB_SIZE)
        self.assertTrue(all(isinstance(logit, (int, float)) and math.isfinite(logit)
                            for logit in report["last_logits"]))
        self.assertTrue(1 <= len(report["output_ids"]) <= 6)
        self.assertTrue(all(isinstance(token, int) and 0 <= token < VOCAB_SIZE for token in report["output_ids"]))
        # The first token is what the logits after the prompt say.
        self.assertEqual(report["output_ids"][0], report["last_logits"].index(max(report["last_logits"])))
        self.assertEqual([layer["tokens_in"] for layer in report["layers"]], tokens_in)
        self.assertEqual([layer["kv_len"] for layer in report["layers"]], kv_len)
        self.assertEqual(report["kv_bytes"], sum(kv_len) * NUM_KV_HEADS * (2 * HEAD_DIM * 4 + 4))
        for name in ("prefill_ms", "decode_ms_per_token"):
            self.assertIsInstance(report[name], (int, float))
            self.assertGreaterEqual(report[name], 0)
        if propagated is None:
            self.assertIsNone(report["propagated"])
        else:
            self.check_positions(report["propagated"], propagated, range(num_tokens))
        for layer, received, kept in zip(report["layers"], tokens_in, kv_len):
            # The last token generated is not fed back.
            self.assertEqual(layer["kv_len_after_decode"], kept + len(report["output_ids"]) - 1)
            self.assertEqual(len(layer["kept"]), NUM_KV_HEADS)
            for positions in layer["kept"]:
                allowed = range(num_tokens) if received == num_tokens else report["propagated"]
                self.check_positions(positions, kept, allowed)

    def check_positions(self, positions, count, allowed):
        self.assertEqual(len(positions), count)
        self.assertEqual(positions, sorted(set(positions)))
        self.assertLessEqual(set(positions), set(allowed))
        self.assertEqual(positions[-min(WINDOW, count):], list(allowed)[-min(WINDOW, count):])

    def test_full(self):
        report = self.report("--method", "full")
        self.check_report(report, 200, [200] * 4, [200] * 4, None)
        self.assertIsInstance(report["mean_logprob_of_input"], float)
        self.assertLess(report["mean_logprob_of_input"], 0)

    def test_fastkv(self):
        report = self.report()
        self.check_report(report, 200, [200, 200, 40, 40], [20] * 4, 40)
        self.assertIsNone(report["mean_logprob_of_input"])
        self.check_report(self.report("--tsp-layer", 0, "--tsp-tokens", 50, "--kv-tokens", 30), 200,
                          [200, 50, 50, 50], [30] * 4, 50)
        self.check_report(self.report("--tsp-layer", 2, "--tsp-rate", 0.5, "--kv-rate", 0.25), 200,
                          [200, 200, 200, 100], [50] * 4, 100)

    def test_snapkv(self):
        self.check_report(self.report("--method", "snapkv", "--kv-rate", 0.3), 200, [200] * 4, [60] * 4, None)
        self.check_report(self.report("--method", "snapkv", "--compression-ratio", 0.75), 200, [200] * 4, [50] * 4,
                          None)

    def test_budget_above_the_prompt_keeps_everything(self):
        full = self.report("--method", "full")
        for method in ("fastkv", "snapkv"):
            report = self.report("--method", method, "--kv-tokens", 100_000)
            self.check_report(report, 200, [200] * 4, [200] * 4, None)
            self.assertEqual(report["output_ids"], full["output_ids"])
            # Sums of 64 terms in F32; `full` works on other rows of the last layer at a time.
            for logit, expected in zip(report["last_logits"], full["last_logits"]):
                self.assertAlmostEqual(logit, expected, delta=1e-5)

    def test_window_above_the_prompt_keeps_everything(self):
        self.check_report(self.report("--window", 500), 200, [200] * 4, [200] * 4, None)

    def test_short_prompts(self):
        for num_tokens in (1, 2, WINDOW - 1, WINDOW):
            ids = self.write("short.json", json.dumps(list(range(num_tokens))))
            for method in ("full", "fastkv", "snapkv"):
                with self.subTest(num_tokens=num_tokens, method=method):
                    report = self.report("--method", method, ids=ids)
                    self.check_report(report, num_tokens, [num_tokens] * 4, [num_tokens] * 4, None)
                    is_null = method != "full" or num_tokens == 1
                    self.assertEqual(report["mean_logprob_of_input"] is None, is_null)

    def test_bytes_of_bfloat16_entries(self):
        self.assertEqual(self.report("--method", "snapkv", dtype="bf16")["kv_bytes"],
                         20 * NUM_LAYERS * NUM_KV_HEADS * (2 * HEAD_DIM * 2 + 4))

    def test_bytes_of_entries_in_integers(self):
        computed = self.report("--method", "snapkv")
        for option in ("--kv-dtype", "--kv-cache-dtype"):
            report = self.report("--method", "snapkv", option, "int8")
            self.assertEqual(report["kv_bytes"], 20 * NUM_LAYERS * NUM_KV_HEADS * (2 * HEAD_DIM + 2 * 4 + 4))
            # The prompt is read as ever, and keeps the same entries.
            self.assertEqual(report["layers"], computed["layers"])
            self.assertEqual(report["last_logits"], computed["last_logits"])
        self.assertEqual(self.report("--method", "snapkv", "--kv-dtype", "f32")["kv_bytes"], computed["kv_bytes"])

    def test_types_that_a_cache_cannot_have(self):
        for arguments, *named in ((("--dtype", "f32", "--kv-dtype", "bf16"), "--dtype bf16"),
                                  (("--dtype", "bf16", "--kv-dtype", "f32"), "--dtype f32"),
                                  (("--device", "cuda", "--kv-dtype", "int8"), "--device cpu")):
            with self.subTest(arguments):
                self.fails(self.inspect(*arguments), 2, "--kv-dtype", *named)

    def test_model_by_its_name_in_the_local_cache(self):
        repository = self.folder / "hub" / "models--some--model"
        snapshot = repository / "snapshots" / "abc123"
        for path in (repository / "refs", repository / "blobs", snapshot):
            path.mkdir(parents=True)
        (repository / "refs" / "main").write_text("abc123\n")
        for number, path in enumerate(self.model.iterdir()):
            (repository / "blobs" / str(number)).write_bytes(path.read_bytes())
            (snapshot / path.name).symlink_to(f"../../blobs/{number}")
        cache = {"HF_HUB_CACHE": str(self.folder / "hub")}
        report = self.report(model="some/model", env=cache)
        self.assertEqual(report["output_ids"], self.report()["output_ids"])
        self.fails(self.inspect(model="some/other", env=cache), 2, "some/other", self.folder / "hub")

    def test_no_positions(self):
        report = self.report("--no-positions")
        self.assertTrue(all("kept" not in layer for layer in report["layers"]))
        self.assertEqual([layer["kv_len"] for layer in report["layers"]], [20] * 4)

    def test_no_new_tokens(self):
        report = self.succeeds(self.inspect("--new-tokens", 0)).json()
        self.assertEqual(report["output_ids"], [])
        self.assertEqual([layer["kv_len_after_decode"] for layer in report["layers"]], [20] * 4)

    def test_end_token_is_part_of_the_output(self):
        free = self.report("--method", "full")["output_ids"]
        (self.model / "generation_config.json").write_text(json.dumps({"eos_token_id": free[2]}))
        self.assertEqual(self.report("--method", "full")["output_ids"], free[:free.index(free[2]) + 1])

    def test_as_text(self):
        result = self.succeeds(run("inspect", "--model", self.model, "--ids", self.ids, "--new-tokens", 2))
        self.assertIn("200", result.out)
        with self.assertRaises(ValueError):
            result.json()

    def test_answer_does_not_depend_on_threads(self):
        for method in ("full", "fastkv", "snapkv"):
            for dtype in ("f32", "auto"):
                reports = [self.report("--method", method, "--threads", threads, dtype=dtype)
                           for threads in (1, 2, 4)]
                for name in ("last_logits", "output_ids", "layers", "propagated", "mean_logprob_of_input"):
                    with self.subTest(method=method, dtype=dtype, field=name):
                        self.assertEqual(reports[0][name], reports[1][name])
                        self.assertEqual(reports[0][name], reports[2][name])

    def test_answer_does_not_depend_on_blocks(self):
        for method in ("full", "fastkv", "snapkv"):
            reports = [self.report("--method", method, "--block-tokens", tokens) for tokens in (1, 7, 64, 1000)]
            for tokens, report in zip((7, 64, 1000), reports[1:]):
                for name in ("output_ids", "layers", "propagated"):
                    with self.subTest(method=method, block_tokens=tokens, field=name):
                        self.assertEqual(report[name], reports[0][name])

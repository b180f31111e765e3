"""Every compression method through `inspect` and `generate`: sizes, reports, protected tokens, and refusing to do nothing."""

import math

import cli_support
from cli_support import CliTest

NUM_LAYERS = cli_support.CONFIG["num_hidden_layers"]
NUM_KV_HEADS = cli_support.CONFIG["num_key_value_heads"]
HEAD_DIM = cli_support.CONFIG["head_dim"]
ENTRY_BYTES = 2 * HEAD_DIM * 4 + 4
NUM_TOKENS = 200

# Rules that only drop entries, and the tokens at the end that each keeps of 20.
RULES = {"snapkv": 8, "streamingllm": 16, "h2o": 8, "pyramidkv": 8, "adakv": 20, "tova": 1, "knorm": 0, "keydiff": 0,
         "expected-attention": 0}
OTHERS = ("full", "fastkv", "pyramidinfer", "gemfilter")


class Methods(CliTest):
    """Prompt: 200 tokens. Expected sizes are worked out here from the definitions of the methods."""

    def report(self, *arguments):
        return self.succeeds(self.inspect("--dtype", "f32", "--new-tokens", 6, *arguments)).json()

    def lengths(self, report):
        return [layer["kv_len"] for layer in report["layers"]]

    def test_rules_keep_their_budget(self):
        for name, tail in RULES.items():
            with self.subTest(name):
                report = self.report("--method", name, "--kv-tokens", 20, "--window", 8)
                self.assertEqual([layer["tokens_in"] for layer in report["layers"]], [NUM_TOKENS] * NUM_LAYERS)
                self.assertIsNone(report["propagated"])
                if name not in ("pyramidkv", "adakv"):
                    self.assertEqual(self.lengths(report), [20] * NUM_LAYERS)
                    self.assertEqual(report["kv_bytes"], 20 * NUM_LAYERS * NUM_KV_HEADS * ENTRY_BYTES)
                for layer in report["layers"]:
                    for positions in layer["kept"]:
                        self.assertEqual(positions, sorted(set(positions)))
                        kept_tail = min(8 if name == "adakv" else tail, len(positions))
                        self.assertEqual(positions[len(positions) - kept_tail:],
                                         list(range(NUM_TOKENS - kept_tail, NUM_TOKENS)))

    def test_streamingllm(self):
        report = self.report("--method", "streamingllm", "--kv-tokens", 20, "--sinks", 3)
        for layer in report["layers"]:
            self.assertEqual(layer["kept"], [[0, 1, 2, *range(183, 200)]] * NUM_KV_HEADS)

    def test_pyramidkv(self):
        # b = 12, from 2 * 12 - 12 // 20 = 24 in steps of 24 // 3.
        self.assertEqual(self.lengths(self.report("--method", "pyramidkv", "--kv-tokens", 20)), [32, 24, 16, 8])

    def test_adakv_shows_each_head(self):
        report = self.report("--method", "adakv", "--kv-tokens", 20, "--window", 8, "--adakv-alpha", 0)
        for layer in report["layers"]:
            lengths = [len(positions) for positions in layer["kept"]]
            self.assertLessEqual(abs(sum(lengths) - NUM_KV_HEADS * 20), NUM_KV_HEADS)
            self.assertEqual(layer["kv_len"], lengths[0] if len(set(lengths)) == 1 else lengths)
        self.assertTrue(any(isinstance(length, list) for length in self.lengths(report)), report["layers"])
        self.assertEqual(report["kv_bytes"], NUM_LAYERS * (NUM_KV_HEADS * 20 + NUM_KV_HEADS // 2) * ENTRY_BYTES)
        # Alone it has a window of 32, beside TSP FastKV's.
        self.assertEqual(self.lengths(self.report("--method", "adakv", "--kv-tokens", 20)), [32] * NUM_LAYERS)

    def test_pyramidinfer(self):
        report = self.report("--method", "pyramidinfer", "--recent-ratio", 0.1, "--decay-ratio", 0.3)
        tokens = [NUM_TOKENS]
        recent = 21
        for layer in range(NUM_LAYERS - 1):
            share = 0.7 * (math.cos(math.pi * layer / NUM_LAYERS) + 1) / 2 + 0.3
            context = tokens[-1] - recent
            kept = int(context * share)
            tokens.append((context if share >= 1 or kept <= 64 else kept) + recent)
        self.assertLess(tokens[-1], tokens[-2])
        self.assertEqual([layer["tokens_in"] for layer in report["layers"]], tokens)
        self.assertEqual(self.lengths(report), tokens)
        self.assertIsNone(report["propagated"])
        for layer in report["layers"]:
            self.assertEqual(layer["kept"][0], layer["kept"][1])
            self.assertEqual(layer["kept"][0][:4], [0, 1, 2, 3])

    def test_pyramidinfer_drops_while_decoding(self):
        for arguments, dropped in (((), 4), (("--no-decode-eviction",), 0)):
            report = self.succeeds(self.inspect("--method", "pyramidinfer", "--new-tokens", 40, *arguments)).json()
            if len(report["output_ids"]) < 40:
                self.skipTest("the random model ended its answer")
            for layer in report["layers"]:
                self.assertEqual(layer["kv_len_after_decode"], layer["kv_len"] + 39 - dropped)

    def test_gemfilter(self):
        report = self.report("--method", "gemfilter", "--kv-rate", 0.1, "--filter-layer", 1)
        self.assertEqual([layer["tokens_in"] for layer in report["layers"]], [20] * NUM_LAYERS)
        self.assertEqual(self.lengths(report), [20] * NUM_LAYERS)
        self.assertEqual(len(report["propagated"]), 20)
        self.assertGreater(report["propagated"][-1], 20)
        for layer in report["layers"]:
            self.assertEqual(layer["kept"], [report["propagated"]] * NUM_KV_HEADS)

    def test_a_rule_beside_tsp_by_either_name(self):
        for name in RULES:
            with self.subTest(name):
                one = self.report("--method", name, "--tsp-layer", 1, "--kv-tokens", 20)
                other = self.report("--method", "fastkv", "--retention", name, "--tsp-layer", 1, "--kv-tokens", 20)
                for field in ("layers", "propagated", "output_ids", "last_logits", "kv_bytes"):
                    self.assertEqual(one[field], other[field], field)
                self.assertEqual(len(one["propagated"]), 40)

    def test_a_flag_that_a_method_does_not_use_is_accepted(self):
        for name in (*OTHERS, *RULES):
            with self.subTest(name):
                self.report("--method", name, "--kv-rate", 0.2, "--sinks", 2, "--filter-layer", 1, "--recent-ratio", 0.3,
                            "--decay-ratio", 0.5, "--pyramid-beta", 10, "--adakv-alpha", 0.5, "--future-positions", 16,
                            "--retention", "h2o", "--tsp-rate", 0.3, "--window", 4, "--kernel", 3, "--no-decode-eviction")

    def test_values_out_of_range(self):
        for flag, value, *named in (("--retention", "fastkv", "fastkv", "snapkv", "expected-attention"),
                                    ("--sinks", -1), ("--filter-layer", NUM_LAYERS, NUM_LAYERS - 1),
                                    ("--filter-layer", -1), ("--recent-ratio", 1), ("--recent-ratio", "nan"),
                                    ("--decay-ratio", 1.1), ("--decay-ratio", -0.1), ("--pyramid-beta", 0),
                                    ("--adakv-alpha", 1.5), ("--adakv-alpha", "nan"), ("--future-positions", 0),
                                    ("--protect-first", -1), ("--protect-last", -1)):
            with self.subTest(flag=flag, value=value):
                self.fails(self.inspect(flag, value), 2, *(named if flag == "--retention" else (flag, *named)))

    def test_numbers_far_above_the_prompt(self):
        for name in (*OTHERS, *RULES):
            for flag in ("--kv-tokens", "--window", "--sinks", "--pyramid-beta", "--protect-first", "--protect-last"):
                with self.subTest(name=name, flag=flag):
                    result = self.inspect("--method", name, "--new-tokens", 1, flag, 2**62)
                    if flag.startswith("--protect") and name != "full":
                        self.fails(result, 2, "protected", 200)
                    else:
                        self.succeeds(result)

    def test_protected_tokens(self):
        for name in (*OTHERS, *RULES):
            with self.subTest(name):
                report = self.report("--method", name, "--kv-tokens", 60, "--protect-first", 9, "--protect-last", 17)
                wanted = {*range(9), *range(183, 200)}
                for layer in report["layers"]:
                    for positions in layer["kept"]:
                        self.assertLessEqual(wanted, set(positions))
                if report["propagated"] is not None:
                    self.assertLessEqual(wanted, set(report["propagated"]))
        self.fails(self.inspect("--method", "snapkv", "--kv-tokens", 20, "--protect-first", 30), 2, "38", "20")
        self.fails(self.inspect("--method", "gemfilter", "--kv-tokens", 20, "--protect-first", 30), 2, "30", "20")
        self.fails(self.inspect("--kv-rate", 1, "--tsp-tokens", 20, "--protect-first", 30), 2, "38", "20", "layer 1")

    def test_requiring_the_method(self):
        for name in (*OTHERS, *RULES):
            with self.subTest(name):
                nothing = ("--method", name, "--kv-rate", 1, "--tsp-rate", 1, "--decay-ratio", 1, "--require-method")
                self.fails(self.inspect(*nothing), 2, name, "nothing", NUM_TOKENS)
                self.fails(self.generate("-q", "-p", "x", *nothing), 2, name, "nothing")
                if name != "full":
                    self.report("--method", name, "--kv-tokens", 40, "--require-method")


class GenerateWithMethods(CliTest):
    def report(self, *arguments):
        return self.succeeds(self.generate("--json", "-q", "-n", 2, *arguments)).json()

    def test_what_was_kept_is_told(self):
        report = self.report("-p", "x" * 100, "--tsp-layer", 1)
        self.assertEqual([layer["tokens_in"] for layer in report["layers"]], [100, 100, 20, 20])
        self.assertEqual(report["layers"][0]["kv_len"], [10] * NUM_KV_HEADS)
        self.assertEqual(report["tokens_propagated"], 20)
        shown = self.succeeds(self.generate("-v", "-n", 2, "-p", "x" * 100, "--tsp-layer", 1)).err
        self.assertIn("layers 0-1: 100 tokens, 10 kept; layers 2-3: 20 tokens, 10 kept", shown)

    def test_the_summary_names_what_the_method_did(self):
        def summary(*arguments):
            return self.succeeds(self.generate("-n", 2, *arguments)).err.splitlines()[-1]

        text = ("-p", "x" * 150)
        self.assertIn("nothing was dropped", summary("-p", "hello", "--method", "h2o"))
        self.assertNotIn("nothing was dropped", summary("-p", "hello", "--method", "full"))
        self.assertIn("15 tokens chosen in layer 2 were read again",
                      summary(*text, "--method", "gemfilter", "--filter-layer", 2))
        self.assertIn("tokens fall from layer 1 on", summary(*text, "--method", "pyramidinfer"))
        self.assertIn("30 tokens went on after layer 1", summary(*text))

    def test_protecting_the_system_message(self):
        self.fails(self.generate("-p", "x", "--protect-system"), 2, "--chat")
        chat = ("--chat", "--system", "s" * 40, "-p", "x" * 60, "--method", "snapkv", "--protect-system")
        # The template's head, the message and the next head: more than 40 tokens.
        self.fails(self.generate("-q", *chat, "--kv-tokens", 45), 2, "protected", "45")
        report = self.report(*chat, "--kv-tokens", 80)
        self.assertEqual(report["layers"][0]["kv_len"], [80] * NUM_KV_HEADS)

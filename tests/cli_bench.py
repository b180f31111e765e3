"""What `bench` promises to scripts: fields, forms, and refusals in one line."""

import csv
import io
import json
import signal
import subprocess
import time

import cli_support
from cli_support import CONFIG, CliTest, run

SPREADS = ("prefill_ms", "prefill_tokens_per_s", "decode_ms_per_token", "decode_tokens_per_s")


class Bench(CliTest):
    def setUp(self):
        super().setUp()
        self.shape = self.write("shape.json", json.dumps(CONFIG))

    def bench(self, *arguments):
        quick = [part for name, value in (("--ceiling-ms", 0), ("-n", 2), ("-r", 2)) if name not in arguments
                 for part in (name, value)]
        return run("bench", "-q", *quick, *arguments)

    def test_rows_of_a_folder_and_of_a_shape(self):
        for source in (("--model", self.model), ("--shape", self.shape)):
            with self.subTest(source[0]):
                result = self.succeeds(self.bench(*source, "--contexts", "40,80", "--methods", "full,snapkv,fastkv",
                                                  "--json"))
                report = result.json()
                self.assertEqual(set(report) - {"model", "command"}, {"machine", "build", "rows"}, result)
                self.assertEqual([(row["context"], row["method"]) for row in report["rows"]],
                                 [(context, method) for context in (40, 80)
                                  for method in ("full", "snapkv", "fastkv")])
                for row in report["rows"]:
                    for name in SPREADS:
                        spread = row[name]
                        self.assertEqual(list(spread), ["median", "min", "max"])
                        self.assertLess(0, spread["min"])
                        self.assertLessEqual(spread["min"], spread["median"])
                        self.assertLessEqual(spread["median"], spread["max"])
                    full = next(other for other in report["rows"]
                                if other["context"] == row["context"] and other["method"] == "full")
                    self.assertAlmostEqual(row["speedup_prefill"],
                                           full["prefill_ms"]["median"] / row["prefill_ms"]["median"])
                    self.assertAlmostEqual(row["predicted_speedup_prefill"],
                                           full["predicted_flops"] / row["predicted_flops"])

    def test_numbers_agree_with_inspect(self):
        ids = self.write("forty.json", json.dumps(list(range(40))))
        inspected = self.succeeds(self.inspect("--method", "fastkv", ids=ids)).json()
        row = self.succeeds(self.bench("--model", self.model, "-p", 40, "--methods", "fastkv",
                                       "--json")).json()["rows"][0]
        self.assertEqual(row["kv_bytes"], inspected["kv_bytes"])
        inspected = self.succeeds(self.inspect("--method", "fastkv", "--kv-dtype", "int8", ids=ids)).json()
        report = self.succeeds(self.bench("--model", self.model, "-p", 40, "--methods", "fastkv", "--kv-dtype", "int8",
                                          "--json")).json()
        self.assertEqual(report["rows"][0]["kv_bytes"], inspected["kv_bytes"])
        self.assertLess(report["rows"][0]["kv_bytes"], row["kv_bytes"])
        self.assertEqual(report["rows"][0]["full_kv_bytes"], row["full_kv_bytes"])
        self.assertEqual(report["machine"]["kv_dtype"], "int8")
        self.assertIn("--kv-dtype int8", report["command"])
        self.assertIsNone(row["speedup_prefill"])
        self.assertIsNone(row["speedup_decode"])

    def test_axes_by_other_names_and_ranges(self):
        result = self.succeeds(self.bench("--shape", self.shape, "-p", "16-64*2", "-o", "csv"))
        rows = list(csv.DictReader(io.StringIO(result.out)))
        self.assertEqual([row["test_prefill"] for row in rows],
                         [f"pp{tokens}" for tokens in (16, 32, 64) for _ in range(2)])
        self.assertEqual(rows[0]["test_decode"], "tg2@d16")
        markdown = self.succeeds(self.bench("--shape", self.shape, "-d", "16", "-o", "md")).out
        self.assertIn("| full | pp16 |", markdown)
        self.assertIn("| fastkv | tg2@d16 |", markdown)

    def test_settings_hold_for_every_method(self):
        rows = self.succeeds(self.bench("--shape", self.shape, "-p", 200, "--methods", "snapkv,fastkv",
                                        "--kv-tokens", 20, "--json")).json()["rows"]
        for row in rows:
            self.assertAlmostEqual(row["kv_bytes"] / row["full_kv_bytes"], 0.1, msg=row)

    def test_every_method_runs_alone_and_in_batches(self):
        methods = self.fails(self.bench("--shape", self.shape, "-p", 16, "--methods", "magic"), 2, "fastkv").err
        methods = methods.strip().split("known methods: ")[1].split(", ")
        self.assertIn("pyramidinfer", methods)
        for batch in (1, 3):
            report = self.succeeds(self.bench("--shape", self.shape, "-p", 200, "-r", 1, "-n", 20, "--batch", batch,
                                              "--methods", ",".join(methods), "--json")).json()
            self.assertEqual([row["method"] for row in report["rows"]], methods)
            for row in report["rows"]:
                self.assertNotIn("error", row)
                self.assertGreater(row["decode_tokens_per_s"]["median"], 0)
                if row["method"] == "full":
                    self.assertEqual(row["kv_bytes"], row["full_kv_bytes"])
                else:
                    self.assertLess(row["kv_bytes"], row["full_kv_bytes"], row)

    def test_bad_input(self):
        shape = ("--shape", self.shape)
        damaged = self.write("damaged.json", json.dumps({**CONFIG, "hidden_size": -1}))
        for arguments, *named in (
                ((*shape, "--contexts", "0"), "--contexts", "0"),
                ((*shape, "--contexts", "ten"), "--contexts", "ten"),
                ((*shape, "--contexts", "8-4*2"), "--contexts", "8-4*2"),
                ((*shape, "--contexts", "257"), "257", "256"),
                ((*shape, "--methods", "magic", "-p", 16), "magic", "fastkv"),
                ((*shape, "--methods", ""), "--methods"),
                ((*shape, "--repeat", "0"), "--repeat"),
                ((*shape, "--batch", "0"), "--batch"),
                ((*shape, "--new-tokens", "-1"), "--new-tokens"),
                ((*shape, "-o", "xml"), "--output-format"),
                ((*shape, "--kv-rate", "2", "-p", "16"), "--kv-rate"),
                ((*shape, "--kv-rate", "1", "--tsp-rate", "1", "-p", "16", "--require-method"), "fastkv", "16"),
                ((*shape, "--model", self.model), "--model"),
                ((*shape, "--page", self.folder / "none" / "page.html"), "--page"),
                (("--shape", self.folder / "none.json"), "none.json"),
                (("--shape", damaged), "damaged.json", "hidden_size"),
                (("--model", self.folder / "none"), "none")):
            with self.subTest(arguments):
                self.fails(self.bench(*arguments), 2, *named)

    def test_weights_that_no_memory_holds(self):
        shape = self.write("huge.json", json.dumps({**CONFIG, "hidden_size": 1 << 18, "intermediate_size": 1 << 19}))
        self.fails(self.bench("--shape", shape), 1, "huge.json", "memory")

    def test_interrupt(self):
        process = subprocess.Popen(
            [cli_support.BINARY, "bench", "-q", "--shape", self.shape, "-r", "10000", "-p", "256"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli_support.environment(), cwd=cli_support.ROOT)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=cli_support.HANG_SECONDS)
        self.assertEqual((process.returncode, out), (130, b""), err)

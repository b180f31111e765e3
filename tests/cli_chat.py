"""`fastkv chat` as a filter: turns, commands, interrupts, files, and what it refuses."""

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import termios
import time

import cli_support
from cli_support import IM_END, IM_START, CliTest, run, write_model

LONG = {"max_position_embeddings": 100_000}
# A template that drops what stands before </think> of earlier answers, as several published ones do.
REWRITING = ("{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
             "{{ m['content'] if loop.last or m['role'] != 'assistant' else 'x' }}<|im_end|>\n{% endfor %}"
             "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
TRIMMING = cli_support.CHAT_TEMPLATE.replace("m['content']", "m['content'] | trim")


class ChatTest(CliTest):
    def chat(self, *arguments, stdin="", model=None, **options):
        return run("chat", "--model", model or self.model, *arguments, stdin=stdin.encode(), **options)

    def report(self, *arguments, stdin, **options):
        return self.succeeds(self.chat("--json", *arguments, stdin=stdin, **options)).json()

    def set_template(self, template):
        (self.model / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))


class Turns(ChatTest):
    def test_answers_alone_on_standard_output(self):
        result = self.succeeds(self.chat("-n", 6, stdin="hello\n\n  \nand you?\n"))
        report = self.report("-n", 6, stdin="hello\nand you?")
        self.assertEqual(result.out, "".join(turn["text"] + "\n" for turn in report["turns"]))
        self.assertEqual([message["role"] for message in report["messages"]], ["user", "assistant"] * 2)
        self.assertEqual([message["content"] for message in report["messages"]][::2], ["hello", "and you?"])
        self.assertEqual(self.succeeds(self.chat(stdin="")).out, "")

    def test_the_first_turn_is_that_of_generate(self):
        chat = self.report("-n", 8, "--method", "full", "--system", "be <|end|>", stdin="hi<|im_end|>")
        generate = self.succeeds(self.generate("--json", "-n", 8, "--method", "full", "--chat", "--system",
                                               "be <|end|>", "-p", "hi<|im_end|>")).json()
        self.assertEqual(chat["turns"][0]["output_ids"], generate["output_ids"])
        self.assertEqual(chat["turns"][0]["read_tokens"], generate["prompt_tokens"])

    def test_a_later_turn_reads_its_own_tokens_alone(self):
        report = self.report("-n", 5, "--ignore-eos", "--method", "full", stdin="hello\n<|im_end|>b\n")
        first, second = report["turns"]
        self.assertTrue(first["from_start"])
        self.assertFalse(second["from_start"])
        # The last token of the answer is run along with them; what the user wrote stays text.
        ids = [IM_END, 10, IM_START, *b"user\n", *b"<|im_end|>b", IM_END, 10, IM_START, *b"assistant\n"]
        self.assertEqual(second["read_tokens"], len(ids))
        # The same conversation as one prompt of ids.
        prompt = [IM_START, *b"user\nhello", IM_END, 10, IM_START, *b"assistant\n", *first["output_ids"], *ids]
        expected = self.succeeds(self.inspect("--method", "full", "--new-tokens", 5,
                                              ids=self.write("all.json", json.dumps(prompt)))).json()
        self.assertEqual(second["output_ids"][:len(expected["output_ids"])], expected["output_ids"])
        entry_bytes = 2 * cli_support.CONFIG["head_dim"] * 4 + 4
        heads = cli_support.CONFIG["num_hidden_layers"] * cli_support.CONFIG["num_key_value_heads"]
        self.assertEqual(second["full_kv_bytes"], len(prompt) * heads * entry_bytes)
        self.assertEqual(second["kv_len"], [[len(prompt)] * 2] * 4)

    def test_the_cache_stays_inside_its_budget(self):
        model = write_model(self.folder / "long", LONG)
        messages = "".join(f"message number {i} of this long conversation\n" for i in range(12))
        entries = 48 * cli_support.CONFIG["num_hidden_layers"] * cli_support.CONFIG["num_key_value_heads"]
        elements = 2 * cli_support.CONFIG["head_dim"]
        for method, kv_dtype, entry_bytes in (("snapkv", "auto", elements * 4 + 4), ("fastkv", "auto", elements * 4 + 4),
                                              ("knorm", "f32", elements * 4 + 4), ("knorm", "int8", elements + 8 + 4),
                                              ("fastkv", "int8", elements + 8 + 4)):
            with self.subTest(method, kv_dtype=kv_dtype):
                report = self.report("-n", 20, "--ignore-eos", "--method", method, "--kv-tokens", 48, "--dtype", "f32",
                                     "--kv-dtype", kv_dtype, stdin=messages, model=model)
                self.assertEqual(len(report["turns"]), 12)
                for turn in report["turns"][1:]:
                    self.assertTrue(turn["reduced"])
                    self.assertEqual(turn["kv_len"], [[48, 48]] * 4)
                self.assertEqual(len({turn["kv_bytes"] for turn in report["turns"][1:]}), 1)
                self.assertEqual(report["turns"][-1]["kv_bytes"], entries * entry_bytes)

    def test_a_short_chat_is_kept_whole(self):
        report = self.report("-n", 4, "--ignore-eos", stdin="hello\nyou\n")
        self.assertFalse(any(turn["reduced"] for turn in report["turns"]))
        self.assertEqual(len({tuple(layer) for layer in report["turns"][1]["kv_len"]}), 1)
        eager = self.report("-n", 4, "--ignore-eos", "--min-kv-tokens", 0, stdin="hello\nyou\n")
        self.assertTrue(eager["turns"][1]["reduced"])

    def test_methods_that_cannot_be_applied_again_say_so(self):
        for method in ("gemfilter", "pyramidinfer"):
            with self.subTest(method):
                result = self.succeeds(self.chat("-n", 3, "--method", method, stdin="hello\nyou\n"))
                self.assertEqual(result.err.count(f"'{method}'"), 1, result)
                self.assertIn("later turns are kept", result.err)
        self.assertEqual(self.succeeds(self.chat("-q", "-n", 3, "--method", "gemfilter", stdin="a\nb\n")).err, "")

    def test_a_document_stands_before_the_first_message(self):
        document = self.write("document.txt", "abc " * 20)
        report = self.report("-n", 2, "-f", document, stdin="hello\nyou\n/reset\nagain\n")
        self.assertEqual([message["content"] for message in report["messages"]][::2], ["abc " * 20 + "\n\nagain"])
        self.assertTrue(report["turns"][0]["from_start"])
        report = self.report("-n", 2, "-f", document, "-p", "first", stdin="second\n")
        self.assertEqual([message["content"] for message in report["messages"]][::2],
                         ["abc " * 20 + "\n\nfirst", "second"])

    def test_several_lines(self):
        report = self.report("-n", 2, stdin='a\\\nb\n"""\nc\n\n/stats\n"""\nd\\')
        self.assertEqual([message["content"] for message in report["messages"]][::2], ["a\nb", "c\n\n/stats", "d"])

    def test_sampling_is_repeatable(self):
        arguments = ("-n", 12, "--ignore-eos", "--temperature", 1, "-q")
        texts = [self.report(*arguments, "--seed", seed, stdin="a\nb\n")["turns"] for seed in (7, 7, 8)]
        ids = [[turn["output_ids"] for turn in turns] for turns in texts]
        self.assertEqual(ids[0], ids[1])
        self.assertNotEqual(ids[0], ids[2])


class Templates(ChatTest):
    def test_one_that_rewrites_is_read_again(self):
        self.set_template(REWRITING)
        result = self.succeeds(self.chat("-n", 5, "--ignore-eos", "--json", stdin="hello\nyou\n"))
        self.assertTrue(result.json()["turns"][1]["from_start"])
        self.assertEqual(result.err.count("read again"), 1, result)

    def test_one_that_trims_is_not(self):
        self.set_template(TRIMMING)
        report = self.report("-n", 40, "--ignore-eos", stdin="hello\nyou\nthere\n")
        self.assertEqual([turn["from_start"] for turn in report["turns"]], [True, False, False])

    def test_errors_of_a_template(self):
        self.set_template("{% if messages | length > 1 %}{{ raise_exception('only one turn') }}{% endif %}"
                          "{{ messages[0]['content'] }}")
        result = self.chat("-n", 3, stdin="hello\nyou\nthere\n")
        self.assertEqual(result.status, 2, result)
        self.assertIn("only one turn", result.err)
        (self.model / "tokenizer_config.json").unlink()
        self.fails(self.chat("-n", 3, stdin="hello\n"), 2, "chat template")


class Commands(ChatTest):
    def test_save_and_load(self):
        path = self.folder / "talk.json"
        whole = self.report("-n", 4, "--method", "full", "--system", "be", stdin=f"a\nb\n/save {path}\nc\n")
        saved = json.loads(path.read_text())
        self.assertEqual(saved, whole["messages"][:5])
        loaded = self.report("-n", 4, "--method", "full", "--load", path, stdin="c\n")
        self.assertEqual(loaded["messages"][:-1], whole["messages"][:-1])
        self.assertTrue(loaded["turns"][0]["from_start"])
        # One whose last message is the user's is answered at once.
        path.write_text(json.dumps(saved[:2]))
        self.assertEqual(len(self.report("-n", 4, "--load", path, stdin="")["turns"]), 1)

    def test_files_that_cannot_be_loaded(self):
        for content, named in (("{", "json"), ("{}", "array"), ('[{"role": "user"}]', "content"),
                               ('[{"role": "tool", "content": "x"}]', "tool"), ('[3]', "message 0"),
                               ('[{"role": "user", "content": 3}]', "content")):
            with self.subTest(content):
                path = self.write("talk.json", content)
                self.fails(self.chat("--load", path, stdin="a\n"), 2, "talk.json", named)
        self.fails(self.chat("--load", self.folder / "none.json", stdin="a\n"), 2, "none.json")
        path = self.write("talk.json", '[{"role": "system", "content": "x"}]')
        self.fails(self.chat("--load", path, "--system", "y", stdin="a\n"), 2, "--system")
        self.assertEqual(self.chat("-n", 2, stdin="a\n/save /no/such/folder/x.json\n").status, 2)

    def test_reset(self):
        report = self.report("-n", 4, "--system", "be", stdin="hello\n/reset\nhello\n")
        again = self.report("-n", 4, "--system", "be", stdin="hello\n")
        self.assertEqual(report["messages"], again["messages"])
        self.assertEqual(report["turns"][0]["output_ids"], again["turns"][0]["output_ids"])
        self.assertEqual(len(report["turns"]), 1)

    def test_stats_and_help(self):
        result = self.succeeds(self.chat("-n", 4, "--ignore-eos", "--method", "snapkv", "--kv-tokens", 20,
                                         stdin="/stats\nhello\nyou\n/stats\n/help\n/exit\nnot read\n"))
        self.assertIn("nothing was read yet", result.err)
        for text in ("layers 0-3: 23", "budget     layers 0-3: 20", "of full", "cache reduced", "/save FILE"):
            self.assertIn(text, result.err)
        self.assertEqual(result.out.count("\n"), self.succeeds(
            self.chat("-n", 4, "--ignore-eos", "--method", "snapkv", "--kv-tokens", 20, stdin="hello\nyou\n"))
                         .out.count("\n"))

    def test_unknown_ones(self):
        self.fails(self.chat(stdin="/stat\n"), 2, "/stat", "/help")
        self.fails(self.chat(stdin="/reset now\n"), 2, "/reset", "now")
        self.fails(self.chat(stdin="/save\n"), 2, "/save")
        # A path is no command.
        self.assertEqual(len(self.report("-n", 2, stdin="/usr/bin is a folder\n/ too\n")["turns"]), 2)


class Limits(ChatTest):
    def test_a_full_context(self):
        # The model has 256 positions.
        result = self.chat("-n", 4, "--ignore-eos", stdin="a" * 100 + "\n" + "b" * 150 + "\n")
        self.assertEqual(result.status, 2, result)
        self.assertRegex(result.err, r"fastkv: the conversation would have \d+ tokens, but the model allows 256")
        self.assertTrue(result.out.endswith("\n"), result)
        self.fails(self.chat(stdin="a" * 300 + "\n"), 2, "256")
        result = self.succeeds(self.chat("--ignore-eos", stdin="a" * 100 + "\n"))
        self.assertIn("used up", result.err)

    def test_what_is_not_text(self):
        result = run("chat", "--model", self.model, stdin=b"a\xff\n")
        self.fails(result, 2, "UTF-8", "byte 1")
        self.fails(self.chat("-f", "-", stdin="a\n"), 2, "--file")
        self.fails(self.chat("--min-kv-tokens", "-1", stdin="a\n"), 2, "min-kv-tokens")
        self.fails(self.chat("--method", "none", stdin="a\n"), 2, "none")


class Interrupts(ChatTest):
    def start(self, *arguments, **streams):
        model = write_model(self.folder / "long", LONG)
        return subprocess.Popen([cli_support.BINARY, "chat", "--model", str(model), *map(str, arguments)],
                                cwd=cli_support.ROOT, env=cli_support.environment(), **streams)

    def read_some(self, descriptor, wanted, shown=b""):
        deadline = time.monotonic() + cli_support.HANG_SECONDS
        while not wanted(shown):
            self.assertLess(time.monotonic(), deadline, shown)
            if select.select([descriptor], [], [], 1)[0]:
                piece = os.read(descriptor, 1 << 16)
                self.assertTrue(piece, shown)
                shown += piece
        return shown

    def read_prompt(self, terminal, shown=b""):
        """What is shown up to the prompt. It is drawn a moment before keys are edited, not echoed."""
        shown = self.read_some(terminal, lambda text: b"> " in text, shown)
        deadline = time.monotonic() + cli_support.HANG_SECONDS
        while termios.tcgetattr(terminal)[3] & termios.ICANON:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        return shown

    def test_an_answer_stops_and_the_session_stays(self):
        process = self.start("-n", 90_000, "--ignore-eos", "--method", "full", stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            process.stdin.write(b"hello\n")
            process.stdin.flush()
            self.read_some(process.stdout.fileno(), lambda shown: len(shown) > 20)
            process.send_signal(signal.SIGINT)
            path = self.folder / "talk.json"
            # The rest of the answer is read along.
            out, err = process.communicate(f"/stats\n/save {path}\n".encode(), timeout=cli_support.HANG_SECONDS)
            self.assertEqual(process.returncode, 0, err)
            self.assertIn(b"(stopped; the conversation goes on)", err)
            self.assertIn(b"1 answers", err)
            self.assertTrue(out.endswith(b"\n"))
            saved = json.loads(path.read_text())
            self.assertEqual([message["role"] for message in saved], ["user", "assistant"])
            self.assertGreater(len(saved[1]["content"]), 10)
        finally:
            process.kill()
            process.wait()

    def test_signals_while_nothing_is_answered(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                process = self.start("-n", 3, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                try:
                    process.stdin.write(b"hello\n")
                    process.stdin.flush()
                    self.read_some(process.stdout.fileno(), lambda shown: b"\n" in shown)
                    time.sleep(0.2)
                    process.send_signal(number)
                    self.assertEqual(process.wait(cli_support.HANG_SECONDS), 130)
                    self.assertIn(b"interrupted", process.stderr.read())
                finally:
                    process.kill()
                    process.communicate()

    def test_at_a_terminal(self):
        terminal, end = pty.openpty()
        # Keys make signals only at the terminal that controls the process.
        process = self.start("-n", 3, "--ignore-eos", stdin=end, stdout=end, stderr=end, start_new_session=True,
                             preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(end)
        try:
            self.assertIn(b"/help", self.read_prompt(terminal))
            # Edited: the cursor goes back over two letters, and the one before it is deleted.
            os.write(terminal, b"helxlo\x1b[D\x1b[D\x7f\n")
            shown = self.read_some(terminal, lambda shown: b"(ended after 3 tokens" in shown)
            self.read_prompt(terminal, shown.split(b"(ended")[1])
            path = self.folder / "talk.json"
            os.write(terminal, f"/save {path}\n".encode())
            shown = self.read_some(terminal, lambda shown: b"2 messages written" in shown)
            self.assertEqual(json.loads(path.read_text())[0]["content"], "hello")
            self.read_prompt(terminal, shown.split(b"messages written")[1])
            os.write(terminal, b"/nothing\n")
            shown = self.read_some(terminal, lambda shown: b"no command /nothing" in shown)
            self.read_prompt(terminal, shown.split(b"no command")[1])
            os.write(terminal, b"half a line\x03")
            shown = self.read_some(terminal, lambda shown: b"Ctrl-C again leaves" in shown)
            self.read_prompt(terminal, shown.split(b"again leaves")[1])
            os.write(terminal, b"\x03")
            self.assertEqual(process.wait(cli_support.HANG_SECONDS), 130)
        finally:
            process.kill()
            process.wait()
            os.close(terminal)

"""Damaged and hostile tokenizers, chat templates, prompts and lists of ids."""

import json
import os

import cli_support
from cli_support import HostileTest, run


class JsonInputs(HostileTest):
    """Files that come with a request: ids, batches, messages."""

    def commands(self, path):
        yield run("inspect", "--model", self.model, "--ids", path, "--json")
        yield run("tokenize", "--model", self.model, "--batch", path, "--json")
        yield run("chat-template", "--model", self.model, "--messages", path, "--json")

    def test_text(self):
        cases = {
            "empty.json": "",
            "cut.json": "[1, 2",
            "object.json": "{}",
            "number.json": "7",
            "deep65.json": "[" * 65 + "]" * 65,
            "deep1000000.json": "[" * 1_000_000 + "]" * 1_000_000,
            "large_number.json": "[1e999]",
            "surrogate.json": '["\\ud800"]',
            "latin1.json": b'["\xe9"]',
            "twice.json": '[{"role": "user", "role": "user", "content": ""}]',
        }
        for name, content in cases.items():
            path = self.write(name, content)
            for result in self.commands(path):
                with self.subTest(name, command=result.command.split()[1]):
                    self.refused(result, name, input_bytes=len(content))
        self.recovers()

    def test_no_file(self):
        fifo = self.folder / "fifo.json"
        os.mkfifo(fifo)
        for path in (self.folder / "absent.json", fifo, self.folder, "/dev/zero"):
            for result in self.commands(path):
                with self.subTest(path=path, command=result.command.split()[1]):
                    self.refused(result, path)

    def test_a_hundred_megabytes_of_brackets(self):
        path = self.folder / "brackets.json"
        with open(path, "wb") as file:
            for _ in range(100):
                file.write(b"[" * 1_000_000)
        self.refused(self.inspect(ids=path), "brackets.json", "64", input_bytes=100_000_000)

    def test_ids(self):
        cases = {"[-1]": "element 0", "[1, 2.0]": "element 1", '["1"]': "element 0", "[[1]]": "element 0",
                 "[null]": "element 0", f"[{2**31}]": "element 0", f"[{2**64}]": "element 0", "[true]": "element 0",
                 "[1, 260]": "260", "[]": "empty"}
        for text, named in cases.items():
            with self.subTest(text):
                self.refused(self.inspect(ids=self.write("ids.json", text)), named)


class Tokenizers(HostileTest):
    def refuses_tokenizer(self, change, *named, stdin=b"text"):
        spec = cli_support.tokenizer_json()
        spec = change(spec) or spec
        content = spec if isinstance(spec, str) else json.dumps(spec)
        (self.model / "tokenizer.json").write_text(content)
        self.refused(run("tokenize", "--model", self.model, "--json", stdin=stdin), *named, input_bytes=len(content))
        self.refused(self.generate("-p", "x"), "tokenizer.json", input_bytes=len(content))

    def test_vocabulary_and_merges(self):
        def vocabulary(**tokens):
            return lambda spec: spec["model"]["vocab"].update(tokens)

        def merges(*pairs):
            return lambda spec: spec["model"].update(merges=list(pairs))

        def added(**fields):
            return lambda spec: spec["added_tokens"][0].update(fields)

        def byte_fallback(spec):
            spec["model"]["byte_fallback"] = True
            spec["model"]["vocab"]["<0x-1>"] = 256
            spec["added_tokens"] = []

        cases = {
            "far above": (vocabulary(ab=2**31), "ab"),
            "a gap": (vocabulary(ab=1000), "256"),
            "negative": (vocabulary(ab=-1), "ab"),
            "used twice": (vocabulary(ab=65), "ab"),
            "a fraction": (vocabulary(ab=256.5), "ab"),
            "empty token": (vocabulary(**{"": 256}), "empty"),
            "absent token": (merges("a zz"), "merges[0]", "zz"),
            "absent result": (merges("a b"), "ab"),
            "one part": (merges("ab"), "merges[0]"),
            "three parts": (merges(["a", "b", "c"]), "merges[0]"),
            "added negative": (added(id=-1), "added_tokens", "-1"),
            "a gap in the added": (added(id=10**6), "added token", "256"),
            "added twice": (added(id=257), "257"),
            "added empty": (added(content=""), ""),
            "not a byte": (byte_fallback, "<0x-1>"),
            "no model": (lambda spec: {"version": "1.0"}, "model"),
            "other model": (lambda spec: spec["model"].update(type="Unigram"), "Unigram"),
            "a list": (lambda spec: "[]", ""),
            "cut": (lambda spec: '{"model": {', ""),
            "deep": (lambda spec: '{"model": ' + "[" * 1_000_000 + "]" * 1_000_000 + "}", ""),
            "a key twice": (lambda spec: '{"model": {}, "model": {}}', ""),
            "bad expression": (lambda spec: spec.update(pre_tokenizer={
                "type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated", "invert": False}), "(a"),
            "unknown part": (lambda spec: spec.update(pre_tokenizer={"type": "Odd"}), "Odd"),
        }
        for case, (change, *named) in cases.items():
            with self.subTest(case):
                self.refuses_tokenizer(change, "tokenizer.json", *named)
        (self.model / "tokenizer.json").unlink()
        self.refused(run("tokenize", "--model", self.model, stdin=b"x"), "tokenizer.json")
        self.recovers()

    def test_ten_million_merges(self):
        head, tail = json.dumps(cli_support.tokenizer_json()).split('"merges": []')
        with open(self.model / "tokenizer.json", "w", encoding="ascii") as file:
            file.write(head + '"merges": ["a b"')
            for _ in range(100):
                file.write(',"a b"' * 100_000)
            file.write("]" + tail)
        self.refused(run("tokenize", "--model", self.model, stdin=b"x"), "tokenizer.json", "merges",
                     input_bytes=(self.model / "tokenizer.json").stat().st_size)

    def test_expression_that_never_ends(self):
        spec = cli_support.tokenizer_json()
        spec["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "(?:a|aa|a+)+(?!a)\\d"}, "behavior": "Isolated", "invert": False},
            spec["pre_tokenizer"]]}
        (self.model / "tokenizer.json").write_text(json.dumps(spec))
        self.refused(run("tokenize", "--model", self.model, "--json", stdin=b"a" * 5000), "(?:a|aa|a+)+")
        self.succeeds(run("tokenize", "--model", self.model, "--json", stdin=b"bcd1"))

    def test_long_texts_of_one_kind(self):
        """A published expression stays linear in one letter; so does normalization in marks without a base."""
        text = b"a" * 1_000_000
        result = run("tokenize", "--model", cli_support.NEEDLE_MODEL, "--json", stdin=text)
        self.assertEqual(self.succeeds(result).json()["text"].encode(), text)
        spec = cli_support.tokenizer_json()
        spec["normalizer"] = {"type": "NFC"}
        (self.model / "tokenizer.json").write_text(json.dumps(spec))
        marks = "\u0316\u0301" * 200_000  # in the order that NFC must turn to a run of each
        result = run("tokenize", "--model", self.model, "--json", stdin=marks.encode())
        self.assertEqual(self.succeeds(result).json()["text"], "\u0316" * 200_000 + "\u0301" * 200_000)


class Templates(HostileTest):
    def render(self, template, *arguments):
        (self.model / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
        messages = self.write("messages.json", json.dumps([{"role": "user", "content": "hello"}]))
        return run("chat-template", "--model", self.model, "--messages", messages, "--json", *arguments)

    def test_templates_that_ask_for_too_much(self):
        cases = {
            "parentheses": "{{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}",
            "calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "a long range": "{% for i in range(1000000000) %}{% endfor %}",
            "a long list": "{{ range(1000000000) | list }}",
            "a long text": "{{ 'x' * 10000000000 }}",
            "loops in loops": "".join(f"{{% for i{n} in range(100) %}}" for n in range(8)) + "x" +
                              "{% endfor %}" * 8,
            "doubles": "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}"
                       "{% endfor %}{{ ns.s }}",
            "modulo zero": "{{ 1 % 0 }}",
            "divided by zero": "{{ 1 / 0 }}",
            "no such attribute": "{{ messages[0].absent.deeper }}",
            "bad slice": "{{ messages['a':] }}",
            "slice step zero": "{{ 'abc'[::0] }}",
            "unknown filter": "{{ 1 | odd_filter }}",
            "unknown function": "{{ odd_function() }}",
            "not closed": "{% if true %}",
            "raises": "{{ raise_exception('roles must alternate') }}",
            "includes": "{% include '/etc/passwd' %}",
            "negative power": "{{ 10 ** 1000000000 }}",
        }
        for case, template in cases.items():
            with self.subTest(case):
                self.refused(self.render(template), "template", input_bytes=len(template))
        self.refused(self.render(cases["raises"]), "roles must alternate")
        self.refused(self.render(7), "chat_template")
        self.refused(self.render(None), "chat template")

    def test_arguments(self):
        for argument, named in (("x", "KEY=JSON"), ("x=", "--set x"), ("=1", "KEY=JSON"),
                                ("messages=[]", "messages"), ("x=" + "[" * 65 + "]" * 65, "--set x")):
            with self.subTest(argument):
                self.refused(self.render("{{ x }}", "--set", argument), named)
        for date in ("2025-02-30", "2025-1-1", "today", "2025-01-01x", ""):
            with self.subTest(date=date):
                self.refused(self.render("x", f"--date={date}"), "--date")
        self.assertEqual(self.succeeds(self.render("{{ x }}", "--set", "x=[1]")).json()["text"], "[1]")
        self.assertEqual(self.succeeds(self.render("{{ strftime_now('%d.%m.%Y %H') }}", "--date", "2024-02-29"))
                         .json()["text"], "29.02.2024 00")

    def test_messages(self):
        """As in Jinja, what a message lacks is undefined, and undefined prints as nothing."""
        for content in ('["text"]', "[null]", "[[]]", "[{}]"):
            with self.subTest(content):
                messages = self.write("messages.json", content)
                result = run("chat-template", "--model", self.model, "--messages", messages, "--json")
                self.assertEqual(self.succeeds(result).json()["text"],
                                 "<|im_start|>\n<|im_end|>\n<|im_start|>assistant\n")


class Prompts(HostileTest):
    def test_invalid_utf8(self):
        cases = {b"abc\xff": 3, b"\x80": 0, b"ab\xc3": 2, b"\xed\xa0\x80": 0, b"a\xc0\x80": 1, b"\xf4\x90\x80\x80": 0}
        for content, offset in cases.items():
            with self.subTest(content):
                path = self.write("prompt.txt", content)
                for result in (self.generate("-f", path), self.generate(stdin=content)):
                    self.refused(result, "UTF-8", f"byte {offset}")
                self.refused(run("tokenize", "--model", self.model, stdin=content), "UTF-8")

    def test_zero_bytes_are_text(self):
        result = self.succeeds(run("tokenize", "--model", self.model, "--json", stdin=b"a\0b"))
        self.assertEqual(result.json(), {"ids": [97, 0, 98], "text": "a\0b"})
        self.assertEqual(self.succeeds(self.generate("--json", "-n", 1, stdin=b"a\0b")).json()["prompt_tokens"], 3)

    def test_nothing_to_read(self):
        self.refused(self.generate(stdin=b""), "empty")
        self.refused(self.generate("-p", ""), "empty")
        self.refused(self.generate("-f", self.write("empty.txt", "")), "empty")
        self.refused(self.generate("-f", self.folder / "absent.txt"), "absent.txt")
        self.refused(self.generate("-f", self.folder), self.folder)

    def test_longest_prompt(self):
        """256 tokens are allowed: they are taken, one more is refused with both numbers."""
        for method in ("full", "fastkv", "snapkv"):
            with self.subTest(method):
                report = self.succeeds(self.generate("--method", method, "--json", "-n", 5, "-p", "x" * 256)).json()
                self.assertEqual((report["prompt_tokens"], len(report["output_ids"])), (256, 1))
                self.refused(self.generate("--method", method, "-p", "x" * 257), "257", "256")
        self.refused(self.inspect(ids=self.write("ids.json", json.dumps([5] * 257))), "257", "256")

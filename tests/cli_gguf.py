"""Models in GGUF files, whole and damaged, through the program."""

import json
import struct

from cli_support import BEGIN, CHAT_TEMPLATE, CONFIG, END, SPECIAL_TOKENS, HostileTest, byte_alphabet, run

U32, I32, F32, STRING, ARRAY = 4, 5, 6, 8, 9
NORMAL, CONTROL = 1, 3

LAYER_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
TOP_NAMES = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}


def text(value):
    encoded = value.encode("utf-8")
    return struct.pack("<Q", len(encoded)) + encoded


def strings(values):
    return struct.pack("<IQ", STRING, len(values)) + b"".join(map(text, values))


def ints(values):
    return struct.pack(f"<IQ{len(values)}i", I32, len(values), *values)


def gguf_bytes(keys, tensors, version=3):
    """`keys`: [(key, type, bytes)]; `tensors`: [(name, shape, type, data)], the slowest dimension first."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    head += b"".join(text(key) + struct.pack("<I", kind) + value for key, kind, value in keys)
    data = b""
    for name, shape, kind, content in tensors:
        data += bytes(-len(data) % 32)
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), kind, len(data))
        data += content
    return head + bytes(-len(head) % 32) + data


def gguf_name(name):
    if name in TOP_NAMES:
        return TOP_NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    module, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[module]}.{kind}"


def rows_in_pairs(data, num_rows, head_dim):
    """The rows of a projection as files of architecture llama have them."""
    size = len(data) // num_rows
    rows = [data[i * size:(i + 1) * size] for i in range(num_rows)]
    order = [head + s * head_dim // 2 + i for head in range(0, num_rows, head_dim) for i in range(head_dim // 2)
             for s in range(2)]
    return b"".join(rows[i] for i in order)


def model_keys(config=CONFIG):
    def number(name, value):
        return ("llama." + name, U32, struct.pack("<I", value))

    tokens = byte_alphabet() + list(SPECIAL_TOKENS)
    return [
        ("general.architecture", STRING, text("llama")),
        ("general.name", STRING, text("Tiny")),
        ("general.file_type", U32, struct.pack("<I", 0)),
        number("block_count", config["num_hidden_layers"]),
        number("context_length", config["max_position_embeddings"]),
        number("embedding_length", config["hidden_size"]),
        number("feed_forward_length", config["intermediate_size"]),
        number("attention.head_count", config["num_attention_heads"]),
        number("attention.head_count_kv", config["num_key_value_heads"]),
        ("llama.attention.layer_norm_rms_epsilon", F32, struct.pack("<f", config["rms_norm_eps"])),
        ("tokenizer.ggml.model", STRING, text("gpt2")),
        ("tokenizer.ggml.pre", STRING, text("gpt-2")),
        ("tokenizer.ggml.tokens", ARRAY, strings(tokens)),
        ("tokenizer.ggml.token_type", ARRAY, ints([NORMAL] * 256 + [CONTROL] * 4)),
        ("tokenizer.ggml.merges", ARRAY, strings([])),
        ("tokenizer.ggml.bos_token_id", U32, struct.pack("<I", BEGIN)),
        ("tokenizer.ggml.eos_token_id", U32, struct.pack("<I", END)),
        ("tokenizer.chat_template", STRING, text(CHAT_TEMPLATE)),
    ]


def model_tensors(tensors, config=CONFIG):
    result = []
    for name, (shape, data) in tensors.items():
        if ".q_proj." in name or ".k_proj." in name:
            data = rows_in_pairs(data, shape[0], config["head_dim"])
        result.append((gguf_name(name), shape, 0, data))
    return result


class GgufTest(HostileTest):
    def setUp(self):
        super().setUp()
        self.keys = model_keys()
        self.gguf_tensors = model_tensors(self.tensors)
        self.gguf = self.write("tiny.gguf", gguf_bytes(self.keys, self.gguf_tensors))


class Gguf(GgufTest):
    def test_says_what_the_folder_says(self):
        messages = self.write("messages.json", json.dumps([{"role": "user", "content": "Hi <|end|>"}]))
        for arguments in (("tokenize", "--json"), ("chat-template", "--messages", messages, "--json")):
            with self.subTest(arguments[0]):
                of_folder = self.succeeds(run(*arguments, "--model", self.model, stdin=b"a b<|end|>")).json()
                of_file = self.succeeds(run(*arguments, "--model", self.gguf, stdin=b"a b<|end|>")).json()
                self.assertEqual(of_file, of_folder)
        expected = self.succeeds(self.inspect("--dtype", "f32", "--new-tokens", 8)).json()
        actual = self.succeeds(self.inspect("--dtype", "f32", "--new-tokens", 8, model=self.gguf)).json()
        for field in ("last_logits", "output_ids", "layers", "propagated"):
            self.assertEqual(actual[field], expected[field], field)
        self.assertEqual(actual["model_file"]["name"], "Tiny")

    def test_every_command_takes_it(self):
        for arguments in (("generate", "-p", "hello", "--chat", "-n", 4),
                          ("bench", "--contexts", "64", "--new-tokens", 2, "--repeat", 1, "--json"),
                          ("doctor", "--json"),
                          ("inspect",),
                          ("inspect", "--json")):
            with self.subTest(arguments):
                self.succeeds(run(*arguments, "--model", self.gguf))
        report = self.succeeds(run("inspect", "--json", "--model", self.gguf)).json()["model_file"]
        self.assertEqual(report["tensors"], {"F32": len(self.gguf_tensors)})
        self.assertEqual(report["file_type"], "F32")

    def test_the_only_file_of_a_folder(self):
        self.succeeds(run("generate", "-p", "hello", "-n", 2, "--model", self.folder))
        self.write("other.gguf", b"GGUF")
        self.fails(run("generate", "-p", "hello", "--model", self.folder), 2, "tiny.gguf", "other.gguf")

    def test_parts(self):
        def part(number, tensors, keys):
            split = [("split.no", 2, struct.pack("<H", number)), ("split.count", 2, struct.pack("<H", 2)),
                     ("split.tensors.count", I32, struct.pack("<i", len(self.gguf_tensors)))]
            return self.write(f"big-0000{number + 1}-of-00002.gguf", gguf_bytes(keys + split, tensors))

        part(0, self.gguf_tensors[:5], self.keys)
        second = part(1, self.gguf_tensors[5:], [])
        whole = self.succeeds(self.inspect(model=self.gguf)).json()
        for name in ("big-00001-of-00002.gguf", "big-00002-of-00002.gguf"):
            with self.subTest(name):
                report = self.succeeds(self.inspect(model=self.folder / name)).json()
                self.assertEqual(report["last_logits"], whole["last_logits"])
        second.unlink()
        self.fails(self.inspect(model=self.folder / "big-00001-of-00002.gguf"), 2, "big-00002-of-00002.gguf")


class HostileGguf(GgufTest):
    def refuses(self, content, *named):
        path = self.write("bad.gguf", content)
        self.refused(self.inspect(model=path), "bad.gguf", *named, input_bytes=len(content))

    def with_key(self, key, kind, value):
        keys = [(name, *rest) for name, *rest in self.keys if name != key]
        return gguf_bytes(keys + [(key, kind, value)], self.gguf_tensors)

    def test_heads(self):
        whole = self.gguf.read_bytes()
        cases = {
            "nothing": (b"", "GGUF"),
            "another magic": (b"GGML" + whole[4:], "GGUF"),
            "the magic alone": (b"GGUF", "short"),
            "version 1": (whole[:4] + struct.pack("<I", 1) + whole[8:], "version 1"),
            "big-endian": (whole[:4] + struct.pack(">I", 3) + whole[8:], "big-endian"),
            "tensors without end": (whole[:8] + struct.pack("<Q", 2**64 - 1) + whole[16:], 2**64 - 1),
            "keys without end": (whole[:16] + struct.pack("<Q", 2**64 - 1) + whole[24:], 2**64 - 1),
            "half a file": (whole[:len(whole) // 2], len(whole), len(whole) // 2),
            "half a head": (whole[:600], "download"),
        }
        for case, (content, *named) in cases.items():
            with self.subTest(case):
                self.refuses(content, *named)
        self.recovers()

    def test_keys(self):
        cases = {
            "a text without end": ("x.y", STRING, struct.pack("<Q", 2**64 - 1), "x.y"),
            "an array without end": ("x.y", ARRAY, struct.pack("<IQ", U32, 2**62), "x.y"),
            "an unknown type": ("x.y", 13, b"", "x.y"),
            "an empty key": ("", U32, bytes(4), "empty"),
            "alignment 0": ("general.alignment", U32, struct.pack("<I", 0), "general.alignment"),
            "alignment 3": ("general.alignment", U32, struct.pack("<I", 3), "general.alignment"),
            "alignment 2^31": ("general.alignment", U32, struct.pack("<I", 2**31), "general.alignment"),
            "alignment as text": ("general.alignment", STRING, text("32"), "general.alignment"),
            "no layers": ("llama.block_count", U32, bytes(4), "llama.block_count"),
            "a billion layers": ("llama.block_count", U32, struct.pack("<I", 10**9), "llama.block_count"),
            "no frequency": ("llama.rope.freq_base", F32, struct.pack("<f", float("nan")), "llama.rope.freq_base"),
            "another model": ("general.architecture", STRING, text("bert"), "bert"),
            "an image encoder": ("general.architecture", STRING, text("clip"), "mmproj"),
            "an adapter": ("general.type", STRING, text("adapter"), "LoRA"),
        }
        for case, (key, kind, value, named) in cases.items():
            with self.subTest(case):
                self.refuses(self.with_key(key, kind, value), named)
        with self.subTest("a key twice"):
            self.refuses(gguf_bytes(self.keys + self.keys[:1], self.gguf_tensors), "general.architecture")
        self.recovers()

    def test_tensors(self):
        name, shape, kind, data = self.gguf_tensors[0]
        others = self.gguf_tensors[1:]
        cases = {
            "one missing": (others, name),
            "one twice": (self.gguf_tensors + [(name, shape, kind, data)], name),
            "a long name": ([("n" * 64, shape, kind, data)] + others, 63),
            "no dimensions": ([(name, [], kind, data)] + others, name),
            "five dimensions": ([(name, [1] * 5, kind, data)] + others, name),
            "no values": ([(name, [0, 32], kind, data)] + others, name),
            "more than 2^63": ([(name, [2**40, 2**40], kind, data)] + others, name),
            "an unknown type": ([(name, shape, 39, data)] + others, name, 39),
            "half a block": ([(name, [33], 8, data)] + others, name),
            "another shape": ([(name, [shape[0] // 2, shape[1] * 2], kind, data)] + others, name),
            "one too many": (self.gguf_tensors + [("blk.0.ffn_gate_inp.weight", [8], 0, bytes(32))], "ffn_gate_inp"),
        }
        for case, (tensors, *named) in cases.items():
            with self.subTest(case):
                self.refuses(gguf_bytes(self.keys, tensors), *named)
        self.recovers()

    def test_scales_that_are_no_numbers(self):
        infinite = struct.pack("<H", 0x7c00) + bytes(32)
        tensors = [(name, shape, 8, infinite * shape[0]) if name == "output.weight" else (name, shape, kind, data)
                   for name, shape, kind, data in self.gguf_tensors]
        self.refuses(gguf_bytes(self.keys, tensors), "output.weight")

    def test_tokenizers(self):
        for case, (key, kind, value) in {
                "an unknown cut": ("tokenizer.ggml.pre", STRING, text("mystery")),
                "another kind": ("tokenizer.ggml.model", STRING, text("bert")),
                "a merge of nothing": ("tokenizer.ggml.merges", ARRAY, strings(["a zz"])),
                "an end beyond": ("tokenizer.ggml.eos_token_id", U32, struct.pack("<I", 260)),
        }.items():
            with self.subTest(case):
                path = self.write("bad.gguf", self.with_key(key, kind, value))
                self.refused(run("tokenize", "--model", path, stdin=b"a"), "bad.gguf", key)

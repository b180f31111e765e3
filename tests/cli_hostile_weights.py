"""Damaged and hostile weights and configurations, through `fastkv inspect`."""

import json
import os
import struct

import cli_support
from cli_support import HostileTest, safetensors_bytes, safetensors_file

EMBEDDING = "model.embed_tokens.weight"


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


class WeightFiles(HostileTest):
    def refuses_weights(self, content, *named, name="model.safetensors"):
        (self.model / name).write_bytes(content)
        self.refused(self.inspect(), name, *named, input_bytes=len(content))

    def test_length_of_the_header(self):
        for size in range(8):
            with self.subTest(file_bytes=size):
                self.refuses_weights(b"\x01" * size, f"{size} bytes")
        for length in (0, 3, 101 << 20, 2**63, 2**64 - 1):
            with self.subTest(header_bytes=length):
                self.refuses_weights(struct.pack("<Q", length) + b"{}", length)
        self.recovers()

    def test_header_over_the_limit_in_a_file_that_has_it(self):
        length = (100 << 20) + 1
        with open(self.model / "model.safetensors", "wb") as file:
            file.write(struct.pack("<Q", length) + b"{")
            file.truncate(8 + length + 8)
        self.refused(self.inspect(), "model.safetensors", length)

    def test_text_of_the_header(self):
        zero = json.dumps(entry([0], 0, 0)).encode()
        cases = {
            "not UTF-8": b'{"a\xff":' + zero + b"}",
            "a blank first": b' {"a":' + zero + b"}",
            "a list": b"[]",
            "a name twice": b'{"twin":' + zero + b',"twin":' + zero + b"}",
            "an escaped zero byte": b'{"a\\u0000b":' + zero + b"}",
            "a zero byte": b'{"a\x00b":' + zero + b"}",
            "cut off": b'{"a":' + zero,
            "a field twice": b'{"a":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
            "an unknown type": b'{"a":{"dtype":"F31","shape":[0],"data_offsets":[0,0]}}',
            "no offsets": b'{"a":{"dtype":"F32","shape":[0]}}',
            "depth": b'{"a":' * 100_000,
        }
        for case, header in cases.items():
            with self.subTest(case):
                self.refuses_weights(safetensors_bytes(header), "twin" if case == "a name twice" else "")

    def test_number_of_tensors(self):
        zero = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
        header = "{" + ",".join(f'"{i}":{zero}' for i in range(100_001)) + "}"
        self.refuses_weights(safetensors_bytes(header.encode()), "100000")

    def test_offsets(self):
        cases = {
            "overlapping": ({"a": entry([2], 0, 8), "victim": entry([2], 4, 12)}, 12, "victim"),
            "the same": ({"a": entry([2], 0, 8), "victim": entry([2], 0, 8)}, 8, ""),
            "reversed": ({"victim": entry([2], 8, 0)}, 8, "victim"),
            "a gap": ({"a": entry([2], 0, 8), "victim": entry([2], 12, 20)}, 20, "victim"),
            "past the end": ({"victim": entry([2], 0, 8)}, 7, "victim"),
            "2^64 - 1": ({"victim": entry([2], 2**64 - 8, 2**64 - 1)}, 8, "victim"),
            "bytes behind": ({"a": entry([2], 0, 8)}, 9, ""),
            "bytes in front": ({"victim": entry([2], 4, 12)}, 12, "victim"),
        }
        for case, (header, data_bytes, named) in cases.items():
            with self.subTest(case):
                self.refuses_weights(safetensors_bytes(header, bytes(data_bytes)), named)

    def test_shapes(self):
        shapes = {
            "product overflows": f"[{2**62}, 8]",
            "product times size overflows": f"[{2**61}, 2]",
            "to zero": f"[{2**32}, {2**32}]",
            "negative": "[-1]",
            "infinite": "[1e400]",
            "fraction": "[0.5]",
            "2^64": f"[{2**64}]",
            "rank 9": "[1, 1, 1, 1, 1, 1, 1, 1, 1]",
        }
        for case, shape in shapes.items():
            with self.subTest(case):
                header = '{"victim":{"dtype":"F32","shape":' + shape + ',"data_offsets":[0,4]}}'
                # A number that no double holds ends the parse before the name is looked at.
                self.refuses_weights(safetensors_bytes(header.encode(), bytes(4)),
                                     "" if case == "infinite" else "victim")

    def test_empty_and_scalar_tensors_are_legal_where_unused(self):
        tensors = {**self.tensors, "empty": ([0, 7], b""), "scalar": ([], bytes(4)), "rank8": ([1] * 8, bytes(4))}
        (self.model / "model.safetensors").write_bytes(safetensors_file(tensors))
        self.succeeds(self.inspect("--new-tokens", 1))

    def test_tensors_that_the_configuration_does_not_imply(self):
        _, embedding = self.tensors[EMBEDDING]
        changed = {
            "a row less": ([259, 32], embedding[:-128]),
            "turned over": ([32, 260], embedding),
            "no row": ([0, 32], b""),
            "one dimension": ([260 * 32], embedding),
            "integers": ([260, 32], embedding, "I32"),
        }
        for case, tensor in changed.items():
            with self.subTest(case):
                (self.model / "model.safetensors").write_bytes(safetensors_file({**self.tensors, EMBEDDING: tensor}))
                self.refused(self.inspect(), EMBEDDING)
        without = {name: tensor for name, tensor in self.tensors.items() if name != "model.norm.weight"}
        (self.model / "model.safetensors").write_bytes(safetensors_file(without))
        self.refused(self.inspect(), "model.norm.weight")

    def test_file_cut_short(self):
        whole = (self.shared_model / "model.safetensors").read_bytes()
        for size in (len(whole) - 1, len(whole) // 2, 100):
            with self.subTest(bytes=size):
                self.refuses_weights(whole[:size])

    def test_values(self):
        """Weights are data: any values load, and what comes of them is told by name."""
        def filled(value):
            return {name: (shape, struct.pack("<f", value) * (len(data) // 4))
                    for name, (shape, data) in self.tensors.items()}

        for value in (0.0, 1e-40):
            with self.subTest(value=value):
                (self.model / "model.safetensors").write_bytes(safetensors_file(filled(value)))
                self.succeeds(self.inspect("--new-tokens", 2))
                self.succeeds(self.generate("-p", "x", "-n", 2))
        head = {"lm_head.weight": filled(float("nan"))["lm_head.weight"]}
        for case, tensors in (("nan", filled(float("nan"))), ("inf", filled(float("inf"))),
                              ("nan in the head", {**self.tensors, **head})):
            (self.model / "model.safetensors").write_bytes(safetensors_file(tensors))
            for method in ("full", "fastkv"):
                for new_tokens in (0, 3):
                    with self.subTest(case, method=method, new_tokens=new_tokens):
                        self.fails(self.inspect("--method", method, "--new-tokens", new_tokens), 1,
                                   "NaN or infinity")
                with self.subTest(case, method=method, command="generate"):
                    self.fails(self.generate("-q", "-p", "x", "--method", method), 1, "NaN or infinity")
                    self.fails(self.generate("-q", "-p", "x", "--method", method, "--temperature", 1), 1,
                               "NaN or infinity")
        self.recovers()


class WeightFolders(HostileTest):
    def setUp(self):
        super().setUp()
        self.weights = (self.model / "model.safetensors").read_bytes()
        (self.model / "model.safetensors").unlink()
        self.outside = self.write("outside.safetensors", self.weights)

    def write_index(self, shard):
        index = {"metadata": {}, "weight_map": {name: shard for name in self.tensors}}
        (self.model / "model.safetensors.index.json").write_text(json.dumps(index))

    def test_index_that_leads_out(self):
        for shard in ("../outside.safetensors", str(self.outside), ".", "..", "", "sub/../../outside.safetensors",
                      "missing.safetensors", "/dev/zero"):
            with self.subTest(shard=shard):
                self.write_index(shard)
                self.refused(self.inspect(), "model.safetensors.index.json" if shard != "missing.safetensors" else
                             shard)
        self.write_index(7)
        self.refused(self.inspect(), "model.safetensors.index.json")

    def test_index_of_other_tensors(self):
        (self.model / "part.safetensors").write_bytes(self.weights)
        index = {"weight_map": {**{name: "part.safetensors" for name in self.tensors}, "ghost": "part.safetensors"}}
        (self.model / "model.safetensors.index.json").write_text(json.dumps(index))
        self.refused(self.inspect(), "ghost")
        for content in ("[]", "{}", '{"weight_map": []}', "{"):
            with self.subTest(content):
                (self.model / "model.safetensors.index.json").write_text(content)
                self.refused(self.inspect(), "model.safetensors.index.json")

    def test_shard_that_is_no_file(self):
        def link_out(path):
            path.symlink_to(self.outside)

        def link_to_device(path):
            path.symlink_to("/dev/zero")

        def link_in_a_circle(path):
            path.symlink_to(path.name)

        makers = {"fifo": os.mkfifo, "folder": os.mkdir, "link out": link_out, "device": link_to_device,
                  "circle": link_in_a_circle}
        for case, make in makers.items():
            for name, index in (("part.safetensors", True), ("model.safetensors", False)):
                with self.subTest(case, index=index):
                    path = self.model / name
                    make(path)
                    if index:
                        self.write_index(name)
                    self.refused(self.inspect(), name)
                    (path.rmdir if case == "folder" else path.unlink)()
                    (self.model / "model.safetensors.index.json").unlink(missing_ok=True)

    def test_links_that_stay_are_followed(self):
        (self.model / "real.safetensors").write_bytes(self.weights)
        (self.model / "part.safetensors").symlink_to("real.safetensors")
        self.write_index("part.safetensors")
        self.succeeds(self.inspect("--new-tokens", 1))

    def test_no_weights_and_no_folder(self):
        self.refused(self.inspect(), "safetensors", self.model)
        self.refused(self.inspect(model=self.folder / "absent"), "absent")
        self.refused(self.inspect(model=self.outside), "outside.safetensors")
        (self.model / "config.json").unlink()
        self.refused(self.inspect(), "config.json")
        os.mkfifo(self.model / "config.json")
        self.refused(self.inspect(), "config.json")


class Configurations(HostileTest):
    def test_fields(self):
        cases = [
            ("num_attention_heads", 0), ("num_attention_heads", -4), ("num_attention_heads", 2**63),
            ("head_dim", 0), ("head_dim", 7), ("head_dim", 2**40),
            ("num_key_value_heads", 0), ("num_key_value_heads", 3), ("num_key_value_heads", 8),
            ("num_hidden_layers", 0), ("num_hidden_layers", 10**9), ("num_hidden_layers", 1e9),
            ("vocab_size", -1), ("vocab_size", 2**40), ("vocab_size", "260"), ("vocab_size", None),
            ("hidden_size", 0), ("hidden_size", [32]), ("intermediate_size", 2**62),
            ("max_position_embeddings", 0), ("max_position_embeddings", 1.5),
            ("rope_theta", 0), ("rope_theta", -1), ("rope_theta", "10000"),
            ("rope_scaling", {"rope_type": "linear", "factor": 0}), ("rope_scaling", {"rope_type": "odd"}),
            ("rms_norm_eps", 0), ("rms_norm_eps", "nan"), ("hidden_act", "odd"), ("architectures", ["OddForCausalLM"]),
            ("architectures", "LlamaForCausalLM"), ("tie_word_embeddings", 1),
            ("bos_token_id", 260), ("eos_token_id", 260), ("eos_token_id", -1), ("eos_token_id", [1, 10**12]),
        ]
        for field, value in cases:
            with self.subTest(field=field, value=value):
                (self.model / "config.json").write_text(json.dumps({**cli_support.CONFIG, field: value}))
                named = "factor" if isinstance(value, dict) and "factor" in value else field
                if isinstance(value, dict) and "factor" not in value:
                    named = "rope"
                self.refused(self.inspect(), "config.json", named)
        self.recovers()

    def test_text(self):
        whole = json.dumps(cli_support.CONFIG)
        cases = {
            "empty": "",
            "cut": whole[:-1],
            "a list": "[]",
            "not a number": whole.replace("10000.0", "NaN"),
            "too large a number": whole.replace("10000.0", "1e999"),
            "a key twice": whole[:-1] + ', "hidden_size": 32}',
            "a lone surrogate": whole[:-1] + ', "x": "\\ud800"}',
            "not UTF-8": whole.encode()[:-1] + b', "x": "\xff"}',
            "a zero byte": whole + "\0",
            "text behind": whole + "{}",
            "65 deep": whole[:-1] + ', "x": ' + "[" * 64 + "]" * 64 + "}",
            "a million deep": whole[:-1] + ', "x": ' + "[" * 1_000_000 + "]" * 1_000_000 + "}",
            "over 4 MiB": whole[:-1] + " " * (4 << 20) + "}",
        }
        for case, text in cases.items():
            with self.subTest(case):
                content = text if isinstance(text, bytes) else text.encode()
                (self.model / "config.json").write_bytes(content)
                self.refused(self.inspect(), "config.json", input_bytes=len(content))
        (self.model / "config.json").write_text(whole[:-1] + ', "x": ' + "[" * 63 + "]" * 63 + "}")
        self.succeeds(self.inspect("--new-tokens", 1))

    def test_generation_settings(self):
        for field, value in (("temperature", -1), ("top_k", -1), ("top_p", 2), ("eos_token_id", 260),
                             ("repetition_penalty", 0), ("do_sample", "yes"), ("max_new_tokens", 0)):
            with self.subTest(field=field):
                (self.model / "generation_config.json").write_text(json.dumps({field: value}))
                self.refused(self.generate("-p", "x"), "generation_config.json", field)

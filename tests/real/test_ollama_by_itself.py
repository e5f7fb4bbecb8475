"""What Ollama does by itself, or on somebody else's word, is in the daemon's status two seconds later, and never in the way of
the next request."""
import os
import signal
import time

import httpx
import pytest

from real_parts import needs
from daemon_harness import wait_until
from real_harness import ONE_AI_MODEL, TWO_AI_MODELS, seen_seconds

pytestmark = [needs("ollama"), pytest.mark.timeout(600)]
CHAT = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(params=["started by the daemon", "external"])
def with_ollama(request, harness):
    """A daemon with Ollama and two AI models that fit together; `url` is Ollama's own."""
    if request.param == "external":
        application, consumer = harness.external_ollama("one", "two")
        harness.start_with({"ollama": consumer}, gpu=TWO_AI_MODELS, devices=[{"id": "gpu0", "reserve": "0"}])
        harness.ollama_url = application.url
    else:
        harness.start_with({"ollama": harness.ollama_consumer("one", "two")}, gpu=TWO_AI_MODELS,
                           devices=[{"id": "gpu0", "reserve": "0"}])
    return harness


def ollama_url(with_ollama):
    """Where Ollama listens itself."""
    return getattr(with_ollama, "ollama_url", None) or with_ollama.consumer("ollama")["url"]


def runner_pids(with_ollama):
    """Ollama's runner children, which hold the memory."""
    pids = [process["pid"] for process in with_ollama.holders() if "runner" in process["command"]]
    assert pids, with_ollama.holders()
    return pids


def load_one(with_ollama):
    with_ollama.ask("one")
    with_ollama.wait_for_resident("one:latest", "warm")
    assert with_ollama.held() > 0 and with_ollama.committed() > 0


def unload_by_keep_alive(with_ollama):
    httpx.post(f"{ollama_url(with_ollama)}/api/generate", json={"model": "one", "keep_alive": 0}, timeout=60).raise_for_status()


def let_its_timer_run_out(with_ollama):
    httpx.post(f"{ollama_url(with_ollama)}/api/chat", json={"model": "one", "messages": [], "keep_alive": "1s"}, timeout=60)


def stop_by_command(with_ollama):
    with_ollama.run_ollama("stop", "one", url=ollama_url(with_ollama))


def remove_by_command(with_ollama):
    with_ollama.run_ollama("rm", "one", url=ollama_url(with_ollama))


def kill_runner(with_ollama):
    for pid in runner_pids(with_ollama):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("unload", [unload_by_keep_alive, let_its_timer_run_out, stop_by_command, remove_by_command,
                                    kill_runner])
def test_what_went_cold_by_itself_is_cold(with_ollama, unload):
    load_one(with_ollama)
    unload(with_ollama)
    wait_until(lambda: with_ollama.held() == 0, "Ollama to free the memory", 30)
    wait_until(lambda: with_ollama.residents().get("one:latest", "gone") in ("cold", "gone"), "the status to say so",
               seen_seconds())
    wait_until(lambda: with_ollama.committed() == 0, "nothing to be committed", seen_seconds())
    with_ollama.ask("two")  # never 507
    if unload is not remove_by_command:
        with_ollama.ask("one")
        with_ollama.wait_for_resident("one:latest", "warm")


def test_what_somebody_else_loaded_is_warm(with_ollama):
    with_ollama.ask("two")  # so that Ollama runs
    httpx.post(f"{ollama_url(with_ollama)}/api/generate", json={"model": "one"}, timeout=120).raise_for_status()
    with_ollama.wait_for_resident("one:latest", "warm")


def test_a_removed_ai_model_does_not_block_others_that_need_its_room(harness):
    harness.start_with({"ollama": harness.ollama_consumer("one", "two")}, gpu=ONE_AI_MODEL,
                       devices=[{"id": "gpu0", "reserve": "0"}])
    harness.ask("one")
    harness.run_ollama("rm", "one", url=harness.consumer("ollama")["url"])
    began = time.monotonic()
    harness.ask("two")
    harness.ask("two")
    assert time.monotonic() - began < 120
    assert harness.residents().get("one:latest", "gone") in ("cold", "gone")
    refused = harness.post("/api/chat", {"model": "one", "messages": CHAT, "stream": False})
    assert refused.status_code == 404, refused.text

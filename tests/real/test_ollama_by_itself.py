"""What Ollama does by itself, or on somebody else's word, is in the daemon's status two seconds later, and never in the way of
the next request."""
import os
import signal
import time

import httpx
import pytest

from real_parts import needs
from daemon_harness import wait_until
from real_harness import ONE_AI_MODEL, SEEN_SECONDS, TWO_AI_MODELS

pytestmark = [needs("ollama"), pytest.mark.timeout(600)]
CHAT = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(params=["started by the daemon", "external"])
def house(request, harness):
    """A daemon with Ollama and two AI models that fit together; `url` is Ollama's own."""
    if request.param == "external":
        application, consumer = harness.external_ollama("one", "two")
        harness.start_with({"ollama": consumer}, gpu=TWO_AI_MODELS, devices=[{"id": "gpu0", "reserve": "0"}])
        harness.ollama_url = application.url
    else:
        harness.start_with({"ollama": harness.ollama_consumer("one", "two")}, gpu=TWO_AI_MODELS,
                           devices=[{"id": "gpu0", "reserve": "0"}])
    return harness


def ollama_url(house):
    """Where Ollama listens itself."""
    return getattr(house, "ollama_url", None) or house.consumer("ollama")["url"]


def runner_pids(house):
    """Ollama's runner children, which hold the memory."""
    pids = [process["pid"] for device in house.gpu_states() for process in device["processes"] if "runner" in process["command"]]
    assert pids, house.gpu_states()
    return pids


def load_one(house):
    house.ask("one")
    house.wait_for_resident("one:latest", "warm")
    assert house.held() > 0 and house.committed() > 0


def unload_by_keep_alive(house):
    httpx.post(f"{ollama_url(house)}/api/generate", json={"model": "one", "keep_alive": 0}, timeout=60).raise_for_status()


def let_its_timer_run_out(house):
    httpx.post(f"{ollama_url(house)}/api/chat", json={"model": "one", "messages": [], "keep_alive": "1s"}, timeout=60)


def stop_by_command(house):
    house.run_ollama("stop", "one", url=ollama_url(house))


def remove_by_command(house):
    house.run_ollama("rm", "one", url=ollama_url(house))


def kill_runner(house):
    for pid in runner_pids(house):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("unload", [unload_by_keep_alive, let_its_timer_run_out, stop_by_command, remove_by_command,
                                    kill_runner])
def test_what_went_cold_by_itself_is_cold(house, unload):
    load_one(house)
    unload(house)
    wait_until(lambda: house.held() == 0, "Ollama to free the memory", 30)
    wait_until(lambda: house.residents().get("one:latest", "gone") in ("cold", "gone"), "the status to say so", SEEN_SECONDS)
    wait_until(lambda: house.committed() == 0, "nothing to be committed", SEEN_SECONDS)
    house.ask("two")  # never 507
    if unload is not remove_by_command:
        house.ask("one")
        house.wait_for_resident("one:latest", "warm")


def test_what_somebody_else_loaded_is_warm(house):
    house.ask("two")  # so that Ollama runs
    httpx.post(f"{ollama_url(house)}/api/generate", json={"model": "one"}, timeout=120).raise_for_status()
    house.wait_for_resident("one:latest", "warm")


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

"""A client unloads an AI model in its service's own words: the daemon evicts that one, and nothing else."""
import time

import httpx
from daemon_harness import parse_size, run_in_background, wait_until

TWO = {"llama3": "5GiB", "gemma": "4GiB"}


def resident_states(harness, name="ollama"):
    return {r["ai_model"]: r["state"] for r in harness.consumer(name)["residents"]}


def chat(client, model, **options):
    return client.chat(model=model, messages=[{"role": "user", "content": "hi"}], stream=False, **options)


def test_what_is_not_loaded_stays_so_and_the_others_stay_loaded(harness):
    harness.start_with({"ollama": harness.fake_ollama_consumer({"llama3": "10GiB"}, load_ms=1000),
                        "vision": harness.fake_consumer("vision", "10GiB")})
    harness.chat("vision")
    answer = harness.ollama().generate(model="llama3", keep_alive=0)
    assert answer.done_reason == "unload" and answer.model == "llama3"
    assert harness.state("vision") == "warm"
    assert resident_states(harness) == {"llama3:latest": "cold"}
    assert not harness.events("evicted")


def test_the_one_that_is_named_is_evicted(harness):
    harness.start_with({"ollama": harness.fake_ollama_consumer(TWO)})
    client = harness.ollama()
    chat(client, "llama3"), chat(client, "gemma")
    assert client.generate(model="llama3", keep_alive=0).done_reason == "unload"
    assert resident_states(harness) == {"llama3:latest": "cold", "gemma:latest": "warm"}
    assert harness.gpu_states()[0]["used"] == parse_size("4GiB")
    assert chat(client, "llama3").message.content == "answer of llama3:latest"


def test_one_that_works_is_evicted_after_its_work(harness):
    harness.start_with({"ollama": harness.fake_ollama_consumer(TWO, run_ms=1500)})
    client = harness.ollama()
    working = run_in_background(chat, client, "llama3")
    harness.wait_for_ticket(stage="running")
    asked_at = time.monotonic()
    assert harness.ollama().generate(model="llama3", keep_alive=0).done_reason == "unload"
    assert time.monotonic() - asked_at < 1, "Ollama answers at once"
    assert resident_states(harness)["llama3:latest"] == "warm"
    assert working.result(10).message.content == "answer of llama3:latest"
    wait_until(lambda: resident_states(harness)["llama3:latest"] == "cold", "the eviction after the work")


def test_a_chat_with_keep_alive_0_unloads_afterwards(harness):
    harness.start_with({"ollama": harness.fake_ollama_consumer(TWO)})
    client = harness.ollama()
    chat(client, "gemma"), chat(client, "llama3", keep_alive=0)
    wait_until(lambda: resident_states(harness)["llama3:latest"] == "cold", "the eviction")
    assert resident_states(harness)["gemma:latest"] == "warm"


def test_a_load_is_answered_when_it_is_warm(harness):
    harness.start_with({"ollama": harness.fake_ollama_consumer(TWO, load_ms=500)})
    assert harness.ollama().generate(model="gemma").done_reason == "load"
    assert resident_states(harness)["gemma:latest"] == "warm"
    assert harness.consumer("ollama")["residents"][0]["ai_model"]


def test_the_router_is_answered_for_in_its_own_words(harness):
    sizes = [f"{name}={parse_size(size)}" for name, size in TWO.items()]
    consumer = harness.fake_consumer("router", "0", working="0", flags=["--llama-router", *sizes], service="llama-server",
                                     router=True, ai_models=TWO)
    del consumer["footprint"], consumer["working"]
    harness.start_with({"router": consumer})

    def steer(action):
        return harness.http_client.post(f"/c/router/models/{action}", json={"model": "gemma"})

    assert steer("unload").status_code == 400 and "not running" in steer("unload").text
    assert steer("load").json() == {"success": True}
    assert resident_states(harness, "router")["gemma"] == "warm"
    assert "already running" in steer("load").text
    assert steer("unload").json() == {"success": True}
    assert resident_states(harness, "router")["gemma"] == "cold"


def test_a_pinned_one_stays(harness):
    harness.start_with({"ollama": harness.fake_ollama_consumer(TWO, pinned=True)})
    chat(harness.ollama(), "gemma")
    refused = httpx.post(f"{harness.url}/api/generate", json={"model": "gemma", "keep_alive": 0})
    assert refused.status_code == 409 and "pinned" in refused.json()["error"]
    assert resident_states(harness)["gemma:latest"] == "warm"

"""Names of an Ollama that share weights (`ollama cp`, FROM) are one resident: loaded once, counted once, gone together."""
import ollama_service
from daemon_harness import GiB, wait_until


def residents(harness):
    return {each["ai_model"]: each["state"] for each in harness.consumer("ollama")["residents"]}


def used(harness):
    return harness.gpu_states()[0]["used"]


def start(harness, **config):
    entry = harness.ollama_consumer({"base": "4GiB"}, **config)
    weights = ollama_service.layer(ollama_service.read_manifest(ollama_service.existing("base")), ollama_service.WEIGHTS)
    ollama_service.write_manifest("copy", weights)
    ollama_service.write_manifest("mine", weights, {"num_ctx": 8192})
    return harness.start_with({"ollama": entry, "chat": harness.fake_consumer("chat")})


def test_a_request_by_another_name_loads_nothing(harness):
    start(harness)
    client = harness.ollama()
    for name in ("copy", "base", "copy"):
        assert client.generate(model=name, prompt="x").response == f"answer of {name}"
    assert harness.ollama_journal("load", "unload") == [["load", "copy:latest"]]
    assert len(harness.events("load")) == 1
    assert list(residents(harness).values()).count("warm") == 1


def test_a_name_with_other_options_is_loaded_with_them_at_once(harness):
    start(harness)
    harness.ollama().generate(model="mine", prompt="x")
    assert harness.ollama_journal("load", "unload") == [["load", "mine:latest"]]
    [running] = harness.ollama().ps().models
    assert (running.model, running.context_length) == ("mine:latest", 8192)


def test_ollama_reloads_for_other_options_and_it_stays_one_resident(harness):
    start(harness)
    client = harness.ollama()
    for name in ("base", "mine", "base"):
        assert client.generate(model=name, prompt="x").response == f"answer of {name}"
    assert list(residents(harness).values()).count("warm") == 1
    assert len(harness.events("load")) == 1
    wait_until(lambda: list(residents(harness).values()).count("warm") == 1, "one resident", 5)


def test_they_are_gone_together_also_when_the_name_is_deleted(harness):
    start(harness)
    client = harness.ollama()
    client.generate(model="base", prompt="x")
    client.delete("base")
    assert harness.chat("copy") == "answer of copy"
    assert harness.run_mgpu("unload", "ollama/copy").returncode == 0
    wait_until(lambda: used(harness) == 0, "the memory to be free", 5)
    assert "warm" not in residents(harness).values()
    assert harness.chat("chat") == "answer of chat", "the memory is free for others"


def test_configured_names_that_share_are_counted_once(harness):
    start(harness, ai_models={"base": "4GiB", "copy": "4GiB"})
    client = harness.ollama()
    for name in ("base", "copy"):
        client.generate(model=name, prompt="x")
    assert harness.ollama_journal("load") == [["load", "base:latest"]]
    [device] = harness.status()["devices"]
    assert device["memory"]["committed_bytes"] < 5 * GiB

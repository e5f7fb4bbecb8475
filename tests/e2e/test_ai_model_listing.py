"""Listing AI models loads no consumer and takes no turn."""
import openai
import pytest


def test_the_lists_merge_all_consumers_and_load_none(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", aliases=["gpt-4o-mini"]),
                        "ollama": harness.fake_ollama_consumer({"llama3": "6GiB", "gemma": "5GiB"}),
                        "train": {"kind": "batch", "footprint": "4GiB"}})
    with harness.openai() as client:
        ids = {model.id for model in client.models.list()}
        assert client.models.retrieve("chat").owned_by == "chat"
    assert {"chat", "gpt-4o-mini", "llama3:latest", "gemma:latest"} <= ids
    assert "train" not in ids, "a lease-only consumer is no AI model"

    tags = {model.model for model in harness.ollama().list().models}
    assert tags == ids
    assert harness.ollama().ps().models == []
    harness.ollama().show("llama3")

    assert harness.events("load", "ticket_arrived") == []
    assert [harness.state(name) for name in ("chat", "ollama")] == ["cold", "cold"]


def test_ps_shows_what_is_in_memory(harness):
    harness.start_with({"ollama": harness.fake_ollama_consumer({"llama3": "6GiB", "gemma": "5GiB"})})
    harness.ollama().chat(model="gemma", messages=[])
    [running] = harness.ollama().ps().models
    assert running.model == "gemma:latest"


def test_ollamas_own_list_under_its_own_path(harness):
    """The requests of the `ollama` command when its host is /c/ollama."""
    harness.start_with({"ollama": harness.fake_ollama_consumer({"llama3": "6GiB", "gemma": "5GiB"})})
    harness.ollama().chat(model="gemma", messages=[])
    tickets = harness.status()["total_jobs"]
    assert {model["name"] for model in harness.get("/c/ollama/api/tags")["models"]} == {"llama3:latest", "gemma:latest"}
    assert [model["name"] for model in harness.get("/c/ollama/api/ps")["models"]] == ["gemma:latest"]
    assert harness.status()["total_jobs"] == tickets, "listing takes no ticket"


def test_who_only_takes_leases_says_so_at_once(harness):
    harness.start_with({"train": {"kind": "batch", "footprint": "4GiB"}})
    with harness.openai() as client, pytest.raises(openai.APIStatusError) as raised:
        client.completions.create(model="train", prompt="x")
    assert raised.value.status_code == 501 and "mgpu run --consumer train" in raised.value.message
    assert harness.events("ticket_arrived") == []

"""Asking which AI models there are loads nobody and waits for nobody."""
import openai
import pytest


def test_the_lists_merge_all_consumers_and_load_none(house):
    house.open({"chat": house.fake("chat", aliases=["gpt-4o-mini"]),
                "ollama": house.fake_ollama({"llama3": "6GiB", "gemma": "5GiB"}),
                "train": {"kind": "batch", "footprint": "4GiB"}})
    with house.openai() as client:
        ids = {model.id for model in client.models.list()}
        assert client.models.retrieve("chat").owned_by == "chat"
    assert {"chat", "gpt-4o-mini", "llama3:latest", "gemma:latest"} <= ids
    assert "train" not in ids, "it takes leases, but answers no requests"

    tags = {model.model for model in house.ollama().list().models}
    assert tags == ids
    assert house.ollama().ps().models == []
    house.ollama().show("llama3")

    assert house.events("load", "ticket_arrived") == []
    assert [house.state(name) for name in ("chat", "ollama")] == ["cold", "cold"]


def test_ps_shows_what_is_in_memory(house):
    house.open({"ollama": house.fake_ollama({"llama3": "6GiB", "gemma": "5GiB"})})
    house.ollama().chat(model="gemma", messages=[])
    [running] = house.ollama().ps().models
    assert running.model == "gemma:latest"


def test_ollamas_own_list_under_its_own_path(house):
    """What the `ollama` command asks for when it is pointed at /c/ollama."""
    house.open({"ollama": house.fake_ollama({"llama3": "6GiB", "gemma": "5GiB"})})
    house.ollama().chat(model="gemma", messages=[])
    tickets = house.status()["total_jobs"]
    assert {model["name"] for model in house.get("/c/ollama/api/tags")["models"]} == {"llama3:latest", "gemma:latest"}
    assert [model["name"] for model in house.get("/c/ollama/api/ps")["models"]] == ["gemma:latest"]
    assert house.status()["total_jobs"] == tickets, "nobody waited for that"


def test_who_only_takes_leases_says_so_at_once(house):
    house.open({"train": {"kind": "batch", "footprint": "4GiB"}})
    with house.openai() as client, pytest.raises(openai.APIStatusError) as told:
        client.completions.create(model="train", prompt="x")
    assert told.value.status_code == 501 and "mgpu run --consumer train" in told.value.message
    assert house.events("ticket_arrived") == []

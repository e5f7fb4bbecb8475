"""Asking which AI models there are loads nobody and waits for nobody."""


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

"""An operator loads, unloads and parks."""


def test_load_and_unload_over_the_interface(house):
    house.open({"chat": house.fake("chat", load_ms=100)})
    loaded = house.post("/v1/consumers/chat/load")
    assert loaded.json()["state"] == "warm" and "server-timing" in loaded.headers
    assert house.gpus()[0]["used"] == 6 << 30
    unloaded = house.post("/v1/consumers/chat/unload")
    assert unloaded.json()["evicted"] == [{"ai_model": "", "state": "cold"}]
    assert house.gpus()[0]["used"] == 0, "it answers when the memory is free"
    assert house.post("/v1/consumers/chat/unload").json()["evicted"] == []


def test_the_commands(house):
    house.open({"chat": house.fake("chat")})
    loaded = house.mgpu("load", "chat")
    assert loaded.returncode == 0 and "chat is warm" in loaded.stdout
    assert "warm" in house.mgpu("consumers").stdout and "chat" in house.mgpu("status").stdout
    unloaded = house.mgpu("unload", "chat")
    assert unloaded.returncode == 0 and "chat is cold" in unloaded.stdout
    wrong = house.mgpu("load", "chta")
    assert wrong.returncode == 1 and "not_found" in wrong.stderr


def test_one_ai_model_of_several(house):
    house.open({"ollama": house.fake_ollama({"llama3": "6GiB", "gemma": "5GiB"})})
    unclear = house.mgpu("load", "ollama")
    assert unclear.returncode == 1 and "ollama/" in unclear.stderr
    loaded = house.mgpu("load", "ollama/gemma")
    assert loaded.returncode == 0, loaded.stderr
    assert [model.model for model in house.ollama().ps().models] == ["gemma:latest"]
    assert house.mgpu("unload", "ollama/gemma").returncode == 0 and house.gpus()[0]["used"] == 0


def test_who_has_a_lease_is_not_unloaded(house):
    house.open({"chat": house.fake("chat", run_ms=500)})
    running = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    refused = house.post("/v1/consumers/chat/unload")
    assert refused.status_code == 409 and refused.json()["error"]["code"] == "busy"
    assert running.status == 200


def test_who_cannot_park_says_so(house):
    house.open({"chat": house.fake("chat")})
    house.ask("chat")
    refused = house.post("/v1/consumers/chat/park")
    assert refused.status_code == 501 and refused.json()["error"]["code"] == "not_supported"


def test_who_can_parks_and_comes_back(house):
    house.open({"chat": house.fake("chat", flags=["--lazy"], load="POST /load", unload="POST /unload", park="POST /unload",
                                   resume="POST /load")})
    house.ask("chat")
    pid = house.consumer("chat")["pid"]
    parked = house.post("/v1/consumers/chat/park")
    assert parked.json()["evicted"] == [{"ai_model": "", "state": "parked"}]
    assert house.gpus()[0]["used"] == 0
    assert house.ask("chat") == "answer of chat" and house.consumer("chat")["pid"] == pid

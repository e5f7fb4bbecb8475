"""An operator loads, unloads and parks consumers."""


def test_load_and_unload_over_the_interface(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", load_ms=100)})
    loaded = harness.post("/v1/consumers/chat/load")
    assert loaded.json()["state"] == "warm" and "server-timing" in loaded.headers
    assert harness.gpu_states()[0]["used"] == 6 << 30
    unloaded = harness.post("/v1/consumers/chat/unload")
    assert unloaded.json()["evicted"] == [{"ai_model": "", "state": "cold"}]
    assert harness.gpu_states()[0]["used"] == 0, "the answer must come after the memory is free"
    assert harness.post("/v1/consumers/chat/unload").json()["evicted"] == []


def test_the_commands(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    loaded = harness.run_mgpu("load", "chat")
    assert loaded.returncode == 0 and "chat is warm" in loaded.stdout
    assert "warm" in harness.run_mgpu("consumers").stdout and "chat" in harness.run_mgpu("status").stdout
    unloaded = harness.run_mgpu("unload", "chat")
    assert unloaded.returncode == 0 and "chat is cold" in unloaded.stdout
    unknown = harness.run_mgpu("load", "chta")
    assert unknown.returncode == 1 and "not_found" in unknown.stderr


def test_one_ai_model_of_several(harness):
    harness.start_with({"ollama": harness.fake_ollama_consumer({"llama3": "6GiB", "gemma": "5GiB"})})
    ambiguous = harness.run_mgpu("load", "ollama")
    assert ambiguous.returncode == 1 and "ollama/" in ambiguous.stderr
    loaded = harness.run_mgpu("load", "ollama/gemma")
    assert loaded.returncode == 0, loaded.stderr
    assert [model.model for model in harness.ollama().ps().models] == ["gemma:latest"]
    assert harness.run_mgpu("unload", "ollama/gemma").returncode == 0 and harness.gpu_states()[0]["used"] == 0


def test_who_has_a_lease_is_not_unloaded(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=500)})
    running = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    refused = harness.post("/v1/consumers/chat/unload")
    assert refused.status_code == 409 and refused.json()["error"]["code"] == "busy"
    assert running.status == 200


def test_who_cannot_park_says_so(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    harness.chat("chat")
    refused = harness.post("/v1/consumers/chat/park")
    assert refused.status_code == 501 and refused.json()["error"]["code"] == "not_supported"


def test_who_can_parks_and_comes_back(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", flags=["--lazy"], load="POST /load", unload="POST /unload",
                                                      park="POST /unload", resume="POST /load")})
    harness.chat("chat")
    pid = harness.consumer("chat")["pid"]
    parked = harness.post("/v1/consumers/chat/park")
    assert parked.json()["evicted"] == [{"ai_model": "", "state": "parked"}]
    assert harness.gpu_states()[0]["used"] == 0
    assert harness.chat("chat") == "answer of chat" and harness.consumer("chat")["pid"] == pid

"""Ollama's clients work through the daemon as with Ollama itself: with its command's and libraries' every request."""
import hashlib
import json
import os
import signal

import httpx
import ollama
import ollama_service
import pytest
from daemon_harness import GiB, MiB, wait_until


@pytest.fixture
def house(harness):
    """Ollama with two AI models, and a consumer of another kind."""
    return harness.start_with({"ollama": harness.ollama_consumer({"llama3": "4GiB", "Qwen2.5:7B": "6GiB"}),
                               "chat": harness.fake_consumer("chat", aliases=["gpt"])})


def test_the_root_says_that_ollama_runs_but_not_to_a_browser(house):
    assert house.http_client.head("/").status_code == 200
    answer = house.http_client.get("/")
    assert (answer.status_code, answer.text) == (200, "Ollama is running")
    assert house.http_client.get("/", headers={"Accept": "text/html,*/*;q=0.8"}).status_code == 404


def test_the_version_is_that_of_the_real_one(house):
    house.ollama().generate(model="llama3")  # it is up from now on
    assert house.get("/api/version") == {"version": "0.24.0"}


def test_a_list_tells_the_same_before_and_after_the_service_was_started(house):
    before = {entry["name"]: entry for entry in house.get("/api/tags")["models"]}
    assert set(before) == {"llama3:latest", "Qwen2.5:7B", "chat", "gpt"}
    house.ollama().generate(model="llama3")
    after = {entry["name"]: entry for entry in house.get("/api/tags")["models"]}
    assert set(after) == set(before)
    for name in ("llama3:latest", "Qwen2.5:7B"):
        assert {**before[name], "modified_at": 0} == {**after[name], "modified_at": 0}
        assert before[name]["modified_at"][:19] == after[name]["modified_at"][:19]
    assert len({entry["digest"] for entry in after.values()}) == 3, "an alias has the digest of its consumer"
    assert all(len(entry["digest"]) == 64 for entry in after.values())


def test_ps_tells_what_is_loaded_and_until_when(harness):
    harness.start_with({"ollama": harness.ollama_consumer({"llama3": "4GiB"}, idle_unload="10m"),
                        "chat": harness.fake_consumer("chat")})
    assert harness.ollama().ps().models == []
    harness.ollama().generate(model="llama3", prompt="hi")
    [running] = harness.ollama().ps().models
    assert (running.model, running.size_vram, running.context_length) == ("llama3:latest", 4 * GiB, 4096)
    assert running.digest == harness.ollama().list().models[0].digest
    left = (running.expires_at - running.expires_at.now(running.expires_at.tzinfo)).total_seconds()
    assert 500 < left <= 600, "the daemon unloads it, not Ollama's own timer"


def test_names_have_no_case_and_latest_is_implied(house):
    client = house.ollama()
    for name in ("llama3", "LLAMA3:latest", "Llama3", "library/llama3", "registry.ollama.ai/library/LLAMA3:LATEST"):
        assert client.chat(model=name, messages=[{"role": "user", "content": "x"}]).message.content == f"answer of {name}"
    assert client.generate(model="qwen2.5:7b", prompt="x").response == "answer of qwen2.5:7b"
    with house.openai() as openai_client:
        answer = openai_client.chat.completions.create(model="QWEN2.5:7B", messages=[{"role": "user", "content": "x"}])
    assert answer.choices[0].message.content == "answer of QWEN2.5:7B", "the client's spelling is kept"
    assert [name for _, name in house.ollama_journal("load")] == ["llama3:latest", "Qwen2.5:7B"]
    assert house.chat("chat:latest") == "answer of chat"


def test_show_is_ollamas_own(house):
    house.ollama().generate(model="llama3")
    shown = house.ollama().show("LLAMA3")
    assert shown.modelinfo["llama.context_length"] == 131072
    assert shown.capabilities == ["completion", "tools"]


def test_copy_and_delete_are_known_at_once(house):
    client = house.ollama()
    client.generate(model="llama3")
    client.copy("llama3", "mine")
    assert client.generate(model="mine", prompt="x").response == "answer of mine"
    client.delete("mine")
    with pytest.raises(ollama.ResponseError) as raised:
        client.generate(model="mine", prompt="x")
    assert raised.value.status_code == 404
    assert "mine:latest" not in {model.model for model in client.list().models}


def test_what_is_deleted_is_unloaded_first(house):
    """Ollama could not be told to unload it afterwards."""
    house.ollama().generate(model="llama3", prompt="x")
    house.ollama().delete("llama3")
    assert [name for what, name in house.ollama_journal("load", "unload")] == ["llama3:latest", "llama3:latest"]
    wait_until(lambda: house.gpu_states()[0]["used"] == 0, "the memory to be free", 5)
    assert house.chat("chat") == "answer of chat"


def test_what_is_made_beside_the_daemon_is_known_at_once(house):
    house.ollama().generate(model="llama3")
    ollama_service.store_ai_model("fresh", GiB)
    assert house.ollama().generate(model="fresh", prompt="x").response == "answer of fresh"


def test_a_creation_from_uploaded_weights(house):
    weights = json.dumps({"gpu_bytes": GiB}).encode() + b" " * (20 * MiB)
    digest = "sha256:" + hashlib.sha256(weights).hexdigest()
    house.ollama().generate(model="llama3")
    assert house.http_client.head(f"/api/blobs/{digest}").status_code == 404
    assert house.http_client.post(f"/api/blobs/{digest}", content=weights).status_code == 201
    assert house.http_client.head(f"/api/blobs/{digest}").status_code == 200
    states = [part.status for part in house.ollama().create(model="made", files={"x.gguf": digest}, stream=True)]
    assert states[-1] == "success"
    assert house.ollama().generate(model="made", prompt="x").response == "answer of made"
    assert house.events("ticket_arrived")[-1][1]["ai_model"] == "made:latest"


def test_an_upload_may_be_larger_than_a_body_that_waits(harness):
    harness.start_with({"ollama": harness.ollama_consumer({"llama3": "4GiB"})}, limits={"max_body": "1MiB"})
    harness.ollama().generate(model="llama3")
    weights = b"x" * (5 * MiB)
    digest = "sha256:" + hashlib.sha256(weights).hexdigest()
    pieces = (weights[at:at + MiB] for at in range(0, len(weights), MiB))
    assert harness.http_client.post(f"/api/blobs/{digest}", content=pieces).status_code == 201
    assert harness.ollama_journal("blob") == [["blob", digest, 5 * MiB]]
    assert harness.http_client.post("/api/chat", content=b" " * (2 * MiB)).status_code == 413


def test_management_takes_no_turn_and_streams_its_progress(harness):
    harness.start_with({"ollama": harness.ollama_consumer({"llama3": "4GiB"}), "chat": harness.fake_consumer("chat", run_ms=3000)})
    client = harness.ollama()
    client.generate(model="llama3")
    busy = harness.send_raw_chat("chat")
    harness.wait_for_ticket(stage="running")
    tickets = len(harness.events("ticket_arrived"))
    assert [part.status for part in client.pull("mistral", stream=True)][-1] == "success"
    assert client.push("llama3").status == "success"
    assert "mistral:latest" in {model.model for model in client.list().models}
    assert len(harness.events("ticket_arrived")) == tickets
    assert harness.tickets(stage="running"), "the work of another consumer goes on meanwhile"
    assert busy.status == 200


def test_what_ollama_answers_passes_whatever_it_is(house):
    house.ollama().generate(model="llama3")
    assert house.get("/api/status") == {"cloud": {"disabled": True}}
    answer = house.post("/api/me")
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
    assert house.post("/api/signout").status_code == 200
    with pytest.raises(ollama.ResponseError, match="file does not exist"):
        house.ollama().pull("missing")


@pytest.mark.parametrize("method, path, body, status", [
    ("POST", "/api/chat", {"model": "nobody"}, 404),
    ("POST", "/api/show", {"model": "nobody"}, 404),
    ("POST", "/api/generate", {}, 400),
    ("GET", "/api/chat", None, 405),
    ("GET", "/api/pull", None, 405),
    ("PUT", "/api/blobs/sha256:0", None, 405),
])
def test_errors_are_texts(house, method, path, body, status):
    answer = house.http_client.request(method, path, json=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"} and isinstance(answer.json()["error"], str)
    if status == 404:
        assert "not found" in answer.json()["error"], "Ollama's command looks for these words"


@pytest.mark.parametrize("method, path", [("POST", "/api/pull"), ("GET", "/api/whatever"), ("POST", "/api/whatever"),
                                          ("DELETE", "/api/delete"), ("POST", "/api/blobs/sha256:0")])
def test_without_an_ollama_there_is_nothing_to_manage(harness, method, path):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    answer = harness.http_client.request(method, path, json={"model": "x"})
    assert answer.status_code == 404
    assert "service: ollama" in answer.json()["error"]
    assert harness.get("/api/version") == {"version": "0.12.0"}


def test_a_request_goes_to_the_ollama_that_has_the_ai_model(harness):
    first = harness.ollama_consumer({"llama3": "4GiB"})
    second = harness.ollama_consumer({})
    second["runner"]["process"]["env"] = {"OLLAMA_MODELS": str(harness.folder / "second")}
    ollama_service.MODELS = harness.folder / "second"
    ollama_service.store_ai_model("gemma", 2 * GiB)
    harness.start_with({"first": first, "second": second})
    client = harness.ollama()
    for name in ("llama3", "gemma"):
        client.generate(model=name)
    client.copy("gemma", "mine")
    client.pull("new")
    owners = {"llama3:latest": "first", "new:latest": "first", "gemma:latest": "second", "mine:latest": "second"}
    wait_until(lambda: {model["id"]: model["owned_by"] for model in harness.get("/v1/models")["data"]} == owners, owners, 2)
    assert {model.model for model in client.list().models} == {"gemma:latest", "llama3:latest", "mine:latest", "new:latest"}


def test_a_service_that_hangs_holds_up_no_list(harness):
    harness.start_with({"ollama": harness.ollama_consumer({"llama3": "4GiB"})})
    harness.ollama().generate(model="llama3")
    pid = harness.consumer("ollama")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        answer = httpx.get(f"{harness.url}/api/tags", timeout=10)
        assert [entry["name"] for entry in answer.json()["models"]] == ["llama3:latest"], "from its files"
    finally:
        os.kill(pid, signal.SIGCONT)

"""An unknown AI model: 404 in the client's own protocol, with the known names."""
import ollama
import openai
import pytest


def test_openai_clients_read_which_are_known(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", aliases=["gpt-4o-mini"]), "voice": harness.fake_consumer("voice")})
    with pytest.raises(openai.NotFoundError) as raised:
        harness.chat("gpt-5")
    assert raised.value.code == "not_found" and raised.value.type == "invalid_request_error"
    for word in ("gpt-5", "chat", "gpt-4o-mini", "voice"):
        assert word in raised.value.message
    with harness.openai() as client, pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5")


def test_ollama_clients_read_it_in_their_words(harness):
    harness.start_with({"ollama": harness.fake_ollama_consumer({"llama3": "6GiB"})})
    with pytest.raises(ollama.ResponseError) as raised:
        harness.ollama().chat(model="mistral", messages=[])
    assert raised.value.status_code == 404
    assert "mistral" in raised.value.error and "llama3:latest" in raised.value.error


def test_a_path_to_nobody(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    answer = harness.http_client.get("/c/chta/health")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found" and "chat" in answer.json()["error"]["message"]

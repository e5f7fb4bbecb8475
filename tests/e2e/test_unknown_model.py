"""A name that nobody has: 404 in the caller's own protocol, naming those that are known."""
import ollama
import openai
import pytest


def test_openai_clients_read_which_are_known(house):
    house.open({"chat": house.fake("chat", aliases=["gpt-4o-mini"]), "voice": house.fake("voice")})
    with pytest.raises(openai.NotFoundError) as told:
        house.ask("gpt-5")
    assert told.value.code == "not_found" and told.value.type == "invalid_request_error"
    for word in ("gpt-5", "chat", "gpt-4o-mini", "voice"):
        assert word in told.value.message
    with house.openai() as client, pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5")


def test_ollama_clients_read_it_in_their_words(house):
    house.open({"ollama": house.fake_ollama({"llama3": "6GiB"})})
    with pytest.raises(ollama.ResponseError) as told:
        house.ollama().chat(model="mistral", messages=[])
    assert told.value.status_code == 404
    assert "mistral" in told.value.error and "llama3:latest" in told.value.error


def test_a_path_to_nobody(house):
    house.open({"chat": house.fake("chat")})
    answer = house.http.get("/c/chta/health")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found" and "chat" in answer.json()["error"]["message"]

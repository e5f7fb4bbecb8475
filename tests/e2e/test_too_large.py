"""A body or a header beyond its limit: 413, and the next request is served."""
import openai
import pytest


def test_a_body_beyond_max_body(house):
    house.open({"chat": house.fake("chat")}, limits={"max_body": "100KiB"})
    told = house.post("/api/chat", {"model": "chat", "messages": [{"content": "x" * 200_000}]})
    assert told.status_code == 413 and "max_body" in told.json()["error"]  # Ollama's shape: the error is its text
    with house.openai() as client, pytest.raises(openai.APIStatusError) as told:
        client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "x" * 200_000}])
    assert told.value.status_code == 413 and told.value.code == "too_large" and "max_body" in told.value.message
    assert house.ask("chat") == "answer of chat"


def test_a_body_that_grows_beyond_it_without_saying_so_before(house):
    house.open({"chat": house.fake("chat")}, limits={"max_body": "100KiB"})

    def pieces():
        yield b'{"model": "chat", "prompt": "'
        for _ in range(200):
            yield b"x" * 1000
        yield b'"}'

    answer = house.http.post("/v1/completions", content=pieces())
    assert answer.status_code == 413 and answer.json()["error"]["code"] == "too_large"
    house.wait_until_quiet()
    assert house.ask("chat") == "answer of chat"


def test_a_header_beyond_max_header(house):
    house.open({"chat": house.fake("chat")}, limits={"max_header": "2KiB"})
    raw = house.raw("GET", "/v1/models", headers=["X-Long: " + "x" * 4000])
    assert raw.status == 413 and raw.json()["error"]["code"] == "too_large"
    assert house.ask("chat") == "answer of chat"

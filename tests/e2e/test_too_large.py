"""A body or header beyond its limit: 413, and the next request is served."""
import openai
import pytest


def test_a_body_beyond_max_body(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, limits={"max_body": "100KiB"})
    refused = harness.post("/api/chat", {"model": "chat", "messages": [{"content": "x" * 200_000}]})
    assert refused.status_code == 413 and "max_body" in refused.json()["error"]  # Ollama's shape: the error is a string
    with harness.openai() as client, pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "x" * 200_000}])
    assert raised.value.status_code == 413 and raised.value.code == "too_large" and "max_body" in raised.value.message
    assert harness.chat("chat") == "answer of chat"


def test_a_body_that_grows_beyond_it_without_saying_so_before(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, limits={"max_body": "100KiB"})

    def pieces():
        yield b'{"model": "chat", "prompt": "'
        for _ in range(200):
            yield b"x" * 1000
        yield b'"}'

    answer = harness.http_client.post("/v1/completions", content=pieces())
    assert answer.status_code == 413 and answer.json()["error"]["code"] == "too_large"
    harness.wait_until_quiet()
    assert harness.chat("chat") == "answer of chat"


def test_a_header_beyond_max_header(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, limits={"max_header": "2KiB"})
    raw = harness.send_raw("GET", "/v1/models", headers=["X-Long: " + "x" * 4000])
    assert raw.status == 413 and raw.json()["error"]["code"] == "too_large"
    assert harness.chat("chat") == "answer of chat"

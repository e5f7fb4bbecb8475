"""Server-sent events are forwarded at once: the client reads the first word before the service made the last."""
import time


def test_the_first_word_arrives_before_the_last_is_made(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=1000)})
    arrived = {}
    with harness.openai() as client:
        for chunk in client.chat.completions.create(model="chat", messages=[], stream=True):
            arrived[chunk.choices[0].delta.content] = time.monotonic_ns()

    assert list(arrived) == ["word0", "word1", "word2", "word3", "word4"]
    [last_made] = [at for what, _, at, _ in harness.service_journal() if what == "end"]  # both use the monotonic clock
    assert arrived["word0"] < last_made - 400e6


def test_the_bytes_are_those_of_the_service(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=50)})
    body = {"model": "chat", "messages": [], "stream": True}
    proxied = harness.http_client.post("/v1/chat/completions", json=body)
    direct = harness.http_client.post(harness.consumer("chat")["url"] + "/v1/chat/completions", json=body)
    assert proxied.content == direct.content
    assert proxied.headers["content-type"] == direct.headers["content-type"] == "text/event-stream"

"""Server-sent events pass at once: the client reads the first word before the service produced the last."""
import time


def test_the_first_word_arrives_before_the_last_is_made(house):
    house.open({"chat": house.fake("chat", run_ms=1000)})
    arrived = {}
    with house.openai() as client:
        for chunk in client.chat.completions.create(model="chat", messages=[], stream=True):
            arrived[chunk.choices[0].delta.content] = time.monotonic_ns()

    assert list(arrived) == ["word0", "word1", "word2", "word3", "word4"]
    [last_made] = [at for what, _, at, _ in house.journal() if what == "end"]  # the same clock
    assert arrived["word0"] < last_made - 400e6


def test_the_bytes_are_those_of_the_service(house):
    house.open({"chat": house.fake("chat", run_ms=50)})
    asked = {"model": "chat", "messages": [], "stream": True}
    through = house.http.post("/v1/chat/completions", json=asked)
    direct = house.http.post(house.consumer("chat")["url"] + "/v1/chat/completions", json=asked)
    assert through.content == direct.content
    assert through.headers["content-type"] == direct.headers["content-type"] == "text/event-stream"

"""Ollama's lines pass at once, and its AI models take turns: each is a resident of its own."""
import time


def test_the_first_line_arrives_before_the_last_is_made(house):
    house.open({"ollama": house.fake_ollama({"llama3": "6GiB"}, run_ms=1000)})
    arrived = {}
    for part in house.ollama().chat(model="llama3", messages=[{"role": "user", "content": "hi"}], stream=True):
        arrived[part.message.content] = time.monotonic_ns()

    assert list(arrived) == ["word0", "word1", "word2", "word3", "word4"]
    [last_made] = [at for what, _, at, _ in house.journal() if what == "end"]
    assert arrived["word0"] < last_made - 400e6


def test_two_ai_models_that_do_not_fit_together_replace_each_other(house):
    house.open({"ollama": house.fake_ollama({"llama3": "8GiB", "gemma": "7GiB"})})
    client = house.ollama()
    for name in ("llama3", "gemma", "llama3"):
        answer = client.chat(model=name, messages=[{"role": "user", "content": "hi"}], stream=False)
        assert answer.message.content == f"answer of {name}:latest"
    states = {r["ai_model"]: r["state"] for r in house.consumer("ollama")["residents"]}
    assert states == {"llama3:latest": "warm", "gemma:latest": "cold"}
    assert len(house.events("evicted")) == 2

"""Ollama's stream is forwarded line by line, and its AI models take turns: each is a resident of its own."""
import time


def test_the_first_line_arrives_before_the_last_is_made(harness):
    harness.start_with({"ollama": harness.fake_ollama_consumer({"llama3": "6GiB"}, run_ms=1000)})
    arrived = {}
    for part in harness.ollama().chat(model="llama3", messages=[{"role": "user", "content": "hi"}], stream=True):
        arrived[part.message.content] = time.monotonic_ns()

    assert list(arrived) == ["word0", "word1", "word2", "word3", "word4"]
    [last_made] = [at for what, _, at, _ in harness.service_journal() if what == "end"]
    assert arrived["word0"] < last_made - 400e6


def test_two_ai_models_that_do_not_fit_together_replace_each_other(harness):
    harness.start_with({"ollama": harness.fake_ollama_consumer({"llama3": "8GiB", "gemma": "7GiB"})})
    client = harness.ollama()
    for name in ("llama3", "gemma", "llama3"):
        answer = client.chat(model=name, messages=[{"role": "user", "content": "hi"}], stream=False)
        assert answer.message.content == f"answer of {name}:latest"
    states = {r["ai_model"]: r["state"] for r in harness.consumer("ollama")["residents"]}
    assert states == {"llama3:latest": "warm", "gemma:latest": "cold"}
    assert len(harness.events("evicted")) == 2

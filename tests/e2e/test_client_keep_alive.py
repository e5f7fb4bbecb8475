"""A client's keep_alive is how long its AI model stays loaded without work, within what the operator allows."""
import time

from daemon_harness import wait_until


def start(harness, **config):
    harness.start_with({"ollama": harness.fake_ollama_consumer({"llama3": "5GiB"}, **config)})
    return harness.ollama()


def chat(client, **options):
    client.chat(model="llama3", messages=[{"role": "user", "content": "hi"}], stream=False, **options)


def wait_until_cold(harness):
    wait_until(lambda: harness.state("ollama") == "cold", "the eviction")


def test_it_is_honoured(harness):
    client = start(harness)
    chat(client, keep_alive="700ms")
    assert harness.state("ollama") == "warm"
    wait_until_cold(harness)
    [(_, plan)] = harness.events("planned")
    assert plan["reason"] == "idle"


def test_it_is_bounded_by_idle_unload(harness):
    client = start(harness, idle_unload="700ms")
    chat(client, keep_alive=-1)
    wait_until_cold(harness)


def test_the_operator_may_allow_more(harness):
    client = start(harness, idle_unload="500ms", max_keep_alive="1h")
    chat(client, keep_alive=-1)
    time.sleep(1.2)  # longer than idle_unload
    assert harness.state("ollama") == "warm"


def test_the_operator_may_allow_none(harness):
    client = start(harness, max_keep_alive="0")
    chat(client, keep_alive=0)
    time.sleep(0.5)
    assert harness.state("ollama") == "warm"

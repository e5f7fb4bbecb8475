"""A service that dies while idle: it is cold at once, its memory is free, the next request loads it again."""
import os
import signal


def test_it_is_cold_and_loads_again(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    harness.chat("chat")
    os.kill(harness.consumer("chat")["pid"], signal.SIGKILL)

    harness.wait_for_state("chat", "cold")
    assert len(harness.events("service_lost")) == 1
    assert harness.chat("chat") == "answer of chat"
    assert len(harness.events("load")) == 2

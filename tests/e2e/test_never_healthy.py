"""A service that never becomes healthy: its load fails at the limit, and its memory is free for other consumers."""
import openai
import pytest


def test_the_load_fails_at_its_limit_and_the_others_go_on(harness):
    harness.start_with({"sick": harness.fake_consumer("sick", "8GiB", fault="never-healthy", load_limit="400ms"),
                        "chat": harness.fake_consumer("chat", "8GiB")})
    with pytest.raises(openai.InternalServerError) as raised:
        harness.chat("sick")
    assert raised.value.status_code == 503 and raised.value.code == "load_failed"
    assert harness.chat("chat") == "answer of chat"
    assert harness.state("sick") == "failed" and harness.consumer("sick")["pid"] is None


def test_whoever_asks_during_the_pause_hears_the_same_reason_at_once(harness):
    harness.start_with({"sick": harness.fake_consumer("sick", fault="never-healthy", load_limit="300ms")})
    for _ in range(3):
        with pytest.raises(openai.InternalServerError) as raised:
            harness.chat("sick")
        assert raised.value.code == "load_failed"
    assert len(harness.events("load")) < 3

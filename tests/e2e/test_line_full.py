"""A full line: 429 with Retry-After; the requests already in it are served."""
import openai
import pytest


def test_the_next_one_is_told_to_come_back(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=500)}, limits={"max_queue": 2})
    running = harness.send_raw_chat("chat")
    harness.wait_for_ticket(stage="running")
    waiting = [harness.send_raw_chat("chat"), harness.send_raw_chat("chat")]
    harness.wait_for_ticket(2, stage="waiting")

    with pytest.raises(openai.RateLimitError) as raised:
        harness.chat("chat")

    assert raised.value.code == "queue_full" and int(raised.value.response.headers["retry-after"]) >= 1
    assert [one.status for one in (running, *waiting)] == [200, 200, 200]
    assert harness.chat("chat") == "answer of chat"

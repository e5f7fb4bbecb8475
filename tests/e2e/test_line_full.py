"""A line that has reached its limit: 429 with Retry-After; those who wait already are served."""
import openai
import pytest


def test_the_next_one_is_told_to_come_back(house):
    house.open({"chat": house.fake("chat", run_ms=500)}, limits={"max_queue": 2})
    running = house.raw_chat("chat")
    house.wait_for_ticket(stage="running")
    waiting = [house.raw_chat("chat"), house.raw_chat("chat")]
    house.wait_for_ticket(2, stage="waiting")

    with pytest.raises(openai.RateLimitError) as told:
        house.ask("chat")

    assert told.value.code == "queue_full" and int(told.value.response.headers["retry-after"]) >= 1
    assert [one.status for one in (running, *waiting)] == [200, 200, 200]
    assert house.ask("chat") == "answer of chat"

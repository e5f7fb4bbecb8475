"""A lease lasts while its own work goes on at the service, and not while that of its neighbours does."""
import time

from house import background, wait_until

BUSY = {"path": "/busy", "pointer": "/running", "idle": "0"}


def test_who_has_answered_does_not_wait_for_its_neighbour(house):
    house.open({"chat": house.fake("chat", concurrency=2, run_ms=2000, busy=BUSY)})
    first = background(house.ask, "chat")
    house.wait_for_journal("start", "chat")
    time.sleep(1)  # so that the second is in the middle of its work when the first has answered
    second = background(house.ask, "chat")
    house.wait_for_ticket(2, stage="running")
    first.result(10)
    wait_until(lambda: len(house.line(stage="running")) == 1, "the first to give back")
    assert not second.done()
    second.result(10)
    house.wait_until_quiet()

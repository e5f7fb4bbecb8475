"""A lease lasts as long as its own job runs at the service; the jobs of others do not extend it."""
import time

from daemon_harness import run_in_background, wait_until

BUSY = {"path": "/busy", "pointer": "/running", "idle": "0"}


def test_who_has_answered_does_not_wait_for_its_neighbour(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", concurrency=2, run_ms=2000, busy=BUSY)})
    first = run_in_background(harness.chat, "chat")
    harness.wait_for_service_journal("start", "chat")
    time.sleep(1)  # the second still works when the first has answered
    second = run_in_background(harness.chat, "chat")
    harness.wait_for_ticket(2, stage="running")
    first.result(10)
    wait_until(lambda: len(harness.tickets(stage="running")) == 1, "the first lease to end")
    assert not second.done()
    second.result(10)
    harness.wait_until_quiet()

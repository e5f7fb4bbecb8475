"""Waiting requests and commands show when they are expected to start."""
from datetime import datetime, timezone


def test_the_line_shows_an_estimated_start(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=400)})
    harness.chat("chat")  # teaches the daemon how long a job takes
    running = harness.send_raw_chat("chat")
    harness.wait_for_ticket(stage="running")
    others = [harness.send_raw_chat("chat"), harness.send_raw_chat("chat")]
    harness.wait_for_ticket(2, stage="waiting")

    first, second = harness.tickets(stage="waiting")
    assert 0 <= first["estimated_wait_ms"] <= 1000
    assert 200 <= second["estimated_wait_ms"] - first["estimated_wait_ms"] <= 1500
    starts = datetime.fromisoformat(first["estimated_start"].replace("Z", "+00:00"))
    assert abs((starts - datetime.now(timezone.utc)).total_seconds()) < 5
    [runs] = harness.tickets(stage="running")
    assert runs["estimated_start"] is None
    assert "STARTS IN" in harness.run_mgpu("line").stdout
    assert [one.status for one in (running, *others)] == [200, 200, 200]


def test_a_waiting_command_says_it(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    holder = harness.post("/v1/leases", {"consumer": "train"}).json()
    waiting = harness.start_program("run", "--consumer", "train", "--", "true")
    waiting.wait_for_output(r"waiting, next in line \(train is running\), starts in about [\d.]+ m?s")
    harness.http_client.delete(f"/v1/leases/{holder['id']}")
    assert waiting.exit_code() == 0

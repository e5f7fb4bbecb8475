"""Those who wait are told when they can expect to start."""
from datetime import datetime, timezone


def test_the_line_shows_an_estimated_start(house):
    house.open({"chat": house.fake("chat", run_ms=400)})
    house.ask("chat")  # from here on it is known how long a job takes
    running = house.raw_chat("chat")
    house.wait_for_ticket(stage="running")
    others = [house.raw_chat("chat"), house.raw_chat("chat")]
    house.wait_for_ticket(2, stage="waiting")

    first, second = house.line(stage="waiting")
    assert 0 <= first["estimated_wait_ms"] <= 1000
    assert 200 <= second["estimated_wait_ms"] - first["estimated_wait_ms"] <= 1500
    starts = datetime.fromisoformat(first["estimated_start"].replace("Z", "+00:00"))
    assert abs((starts - datetime.now(timezone.utc)).total_seconds()) < 5
    [runs] = house.line(stage="running")
    assert runs["estimated_start"] is None
    assert "STARTS IN" in house.mgpu("line").stdout
    assert [one.status for one in (running, *others)] == [200, 200, 200]


def test_a_waiting_command_says_it(house):
    house.open({"train": {"footprint": "4GiB"}})
    holder = house.post("/v1/leases", {"consumer": "train"}).json()
    waiting = house.start("run", "--consumer", "train", "--", "true")
    waiting.wait_for(r"waiting, next in line \(train is running\), starts in about [\d.]+ m?s")
    house.http.delete(f"/v1/leases/{holder['id']}")
    assert waiting.exit_code() == 0

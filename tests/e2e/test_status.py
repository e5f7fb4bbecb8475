"""GET /v1/status: the six figures at the top, devices with memory by owner, consumers, the line."""
import datetime

SIX = {"queue_depth", "in_flight", "total_jobs", "last_wait_ms", "last_run_ms", "oldest_queued"}


def test_an_idle_house(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", kind="llm", aliases=["gpt"])}, gpu="12GiB")
    status = harness.status()
    assert SIX | {"version", "started", "draining", "devices", "consumers", "line"} <= status.keys()
    assert {name: status[name] for name in SIX} == {"queue_depth": 0, "in_flight": 0, "total_jobs": 0, "last_wait_ms": 0,
                                                    "last_run_ms": 0, "oldest_queued": None}
    [device] = status["devices"]
    assert SIX <= device.keys() and device["id"] == "gpu0" and device["capacity"] == 1 and device["turns"] == []
    assert device["memory"]["total_bytes"] == 12 << 30 and device["memory"]["reserve_bytes"] == 512 << 20
    [consumer] = status["consumers"]
    assert consumer["name"] == "chat" and consumer["kind"] == "llm" and consumer["state"] == "cold"
    assert consumer["aliases"] == ["gpt"] and consumer["pid"] is None
    assert consumer["residents"][0]["footprint_bytes"] == 6 << 30
    assert status["line"] == [] and status["draining"] is False


def test_while_one_runs_and_another_waits(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "6GiB", working="1GiB", run_ms=400),
                        "voice": harness.fake_consumer("voice", "8GiB")})
    running, = [harness.send_raw_chat("chat")]
    harness.wait_for_service_journal("start", "chat")
    waiting = harness.send_raw_chat("voice")
    harness.wait_for_ticket(stage="waiting", consumer="voice")

    status = harness.status()

    assert (status["queue_depth"], status["in_flight"], status["total_jobs"]) == (1, 1, 0)
    since = datetime.datetime.fromisoformat(status["oldest_queued"].replace("Z", "+00:00"))
    assert abs((datetime.datetime.now(datetime.timezone.utc) - since).total_seconds()) < 60
    [device] = status["devices"]
    assert device["turns"] == ["chat"]
    memory = device["memory"]
    assert memory["by_consumer"][0]["consumer"] == "chat" and memory["committed_bytes"] >= 7 << 30
    assert memory["headroom_bytes"] == memory["total_bytes"] - memory["reserve_bytes"] - memory["foreign_bytes"] - \
        memory["committed_bytes"]
    assert [(t["consumer"], t["stage"], t["place"]) for t in status["line"]] == [("chat", "running", 0), ("voice", "waiting", 1)]
    assert running.status == waiting.status == 200
    harness.wait_until_quiet()
    status = harness.status()
    assert status["total_jobs"] == 2 and status["last_wait_ms"] > 100 and status["oldest_queued"] is None


def test_a_job_that_ran_has_its_length(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=200)})
    harness.chat("chat")
    harness.wait_until_quiet()
    assert 200 <= harness.status()["last_run_ms"] < 5000


def test_the_page_of_the_interface_is_served(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    assert harness.http_client.get("/v1/openapi.yaml").text.startswith("openapi: 3")
    assert harness.get("/v1/version")["name"] == "mgpu"
    assert harness.http_client.get("/v1/consumers/chta").status_code == 404


def test_the_next_status_shows_what_an_answered_request_did(harness):
    """The status is cached for clients that poll, but only until the next event."""
    harness.start_with({"train": {"footprint": "4GiB"}})
    for jobs in range(20):
        lease = harness.post("/v1/leases", {"consumer": "train"}).json()
        status = harness.status()
        assert (status["in_flight"], [ticket["stage"] for ticket in status["line"]]) == (1, ["running"])
        harness.http_client.delete(f"/v1/leases/{lease['id']}")
        status = harness.status()
        assert (status["in_flight"], status["total_jobs"], status["line"]) == (0, jobs + 1, [])

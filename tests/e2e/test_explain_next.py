"""The forecast for a request that is not sent: it changes nothing."""


def test_granted_at_once_or_room_made_or_behind_others(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "8GiB", run_ms=800),
                        "image": harness.fake_consumer("image", "8GiB")})
    harness.chat("chat")

    assert harness.run_mgpu("explain", "--next", "chat").stdout == "A ticket for chat would be granted at once.\n"

    explanation = harness.get("/v1/explain/next?consumer=image")
    assert explanation["stage"] == "preparing" and explanation["must_load"]
    [plan] = explanation["plans"]
    assert [one["consumer"] for one in plan["considered"] if one["chosen"]] == ["chat"]
    assert explanation["estimated_wait_ms"] > 0

    running = harness.send_raw_chat("chat")
    ticket = harness.wait_for_ticket(stage="running")["ticket"]
    explanation = harness.get("/v1/explain/next?consumer=image")
    assert explanation["stage"] == "waiting" and explanation["holders"] == [ticket] and explanation["place"] == 1
    assert f"The turn is held by ticket {ticket} (chat)." in explanation["sentences"]
    assert running.status == 200

    assert harness.state("chat") == "warm" and harness.state("image") == "cold"
    assert harness.status()["total_jobs"] == 2 and harness.tickets() == []


def test_whoever_can_never_run_is_told(harness):
    harness.start_with({"huge": harness.fake_consumer("huge", "80GiB")})
    assert harness.get("/v1/explain/next?consumer=huge")["error"]["code"] == "never_fits"
    assert harness.http_client.get("/v1/explain/next").status_code == 400
    assert harness.run_mgpu("explain", "--next", "nobody").returncode == 1

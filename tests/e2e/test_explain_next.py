"""What would happen if a consumer asked now; asking changes nothing."""


def test_granted_at_once_or_room_made_or_behind_others(house):
    house.open({"chat": house.fake("chat", "8GiB", run_ms=800), "image": house.fake("image", "8GiB")})
    house.ask("chat")

    assert house.mgpu("explain", "--next", "chat").stdout == "A ticket for chat would be granted at once.\n"

    told = house.get("/v1/explain/next?consumer=image")
    assert told["stage"] == "preparing" and told["must_load"]
    [plan] = told["plans"]
    assert [one["consumer"] for one in plan["considered"] if one["chosen"]] == ["chat"]
    assert told["estimated_wait_ms"] > 0

    running = house.raw_chat("chat")
    ticket = house.wait_for_ticket(stage="running")["ticket"]
    told = house.get("/v1/explain/next?consumer=image")
    assert told["stage"] == "waiting" and told["holders"] == [ticket] and told["place"] == 1
    assert f"The turn is with ticket {ticket} (chat)." in told["sentences"]
    assert running.status == 200

    assert house.state("chat") == "warm" and house.state("image") == "cold"
    assert house.status()["total_jobs"] == 2 and house.line() == []


def test_whoever_can_never_run_is_told(house):
    house.open({"huge": house.fake("huge", "80GiB")})
    assert house.get("/v1/explain/next?consumer=huge")["error"]["code"] == "never_fits"
    assert house.http.get("/v1/explain/next").status_code == 400
    assert house.mgpu("explain", "--next", "nobody").returncode == 1

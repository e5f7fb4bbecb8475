"""A service that ignores the request to stop is killed after its limit, and the one who needs the room is served."""


def test_it_is_killed_and_the_next_consumer_loads(house):
    house.open({"deaf": house.fake("deaf", "8GiB", fault="ignore-stop", stop_limit="300ms"),
                "chat": house.fake("chat", "8GiB")})
    house.ask("deaf")
    pid = house.consumer("deaf")["pid"]

    assert house.ask("chat") == "answer of chat"

    assert house.state("deaf") == "cold" and house.consumer("deaf")["pid"] is None
    assert [data["rung"] for _, data in house.events("evict")] == ["stop", "kill"]
    assert pid not in house.processes()

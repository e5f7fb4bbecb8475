"""A service that ignores SIGTERM is killed after its stop_limit, and the consumer that needs the room is served."""


def test_it_is_killed_and_the_next_consumer_loads(harness):
    harness.start_with({"deaf": harness.fake_consumer("deaf", "8GiB", fault="ignore-stop", stop_limit="300ms"),
                        "chat": harness.fake_consumer("chat", "8GiB")})
    harness.chat("deaf")
    pid = harness.consumer("deaf")["pid"]

    assert harness.chat("chat") == "answer of chat"

    assert harness.state("deaf") == "cold" and harness.consumer("deaf")["pid"] is None
    assert [data["rung"] for _, data in harness.events("evict")] == ["stop", "kill"]
    assert pid not in harness.process_pids()

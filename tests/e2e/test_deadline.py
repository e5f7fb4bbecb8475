"""A request with a deadline does not wait longer than that."""
import time


def test_one_that_cannot_start_by_then_is_refused(house):
    house.open({"chat": house.fake("chat", run_ms=3000)})
    running = house.raw_chat("chat")
    house.wait_for_ticket(stage="running")
    asked = time.monotonic()
    late = house.raw("POST", "/v1/chat/completions", {"model": "chat", "messages": []}, ["X-Mgpu-Deadline: 300ms"])
    assert late.status == 504 and time.monotonic() - asked < 2
    error = late.json()["error"]
    assert error["code"] == "wait_limit" and "deadline" in error["message"]
    assert running.status == 200


def test_a_wait_limit_may_stand_in_a_header(house):
    house.open({"chat": house.fake("chat", run_ms=3000)})
    running = house.raw_chat("chat")
    house.wait_for_ticket(stage="running")
    late = house.raw("POST", "/v1/chat/completions", {"model": "chat", "messages": []}, ["X-Mgpu-Wait-Limit: 300ms"])
    assert late.status == 504 and late.json()["error"]["code"] == "wait_limit"
    assert running.status == 200


def test_a_command_has_one_too(house):
    house.open({"train": {"footprint": "4GiB"}})
    house.post("/v1/leases", {"consumer": "train"})
    late = house.mgpu("run", "--consumer", "train", "--deadline", "200ms", "--", "true")
    assert late.returncode == 124 and "deadline" in late.stderr

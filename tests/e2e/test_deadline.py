"""A request with a deadline does not wait beyond it."""
import time


def test_one_that_cannot_start_by_then_is_refused(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=3000)})
    running = harness.send_raw_chat("chat")
    harness.wait_for_ticket(stage="running")
    began = time.monotonic()
    late = harness.send_raw("POST", "/v1/chat/completions", {"model": "chat", "messages": []}, ["X-Mgpu-Deadline: 300ms"])
    assert late.status == 504 and time.monotonic() - began < 2
    error = late.json()["error"]
    assert error["code"] == "wait_limit" and "deadline" in error["message"]
    assert running.status == 200


def test_a_wait_limit_may_stand_in_a_header(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=3000)})
    running = harness.send_raw_chat("chat")
    harness.wait_for_ticket(stage="running")
    late = harness.send_raw("POST", "/v1/chat/completions", {"model": "chat", "messages": []}, ["X-Mgpu-Wait-Limit: 300ms"])
    assert late.status == 504 and late.json()["error"]["code"] == "wait_limit"
    assert running.status == 200


def test_a_command_has_one_too(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    harness.post("/v1/leases", {"consumer": "train"})
    late = harness.run_mgpu("run", "--consumer", "train", "--deadline", "200ms", "--", "true")
    assert late.returncode == 124 and "deadline" in late.stderr

"""A request that waits longer than its limit gets 504, and its place in the line is free."""
import openai
import pytest


def test_a_request_gives_up_after_the_wait_limit(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=1500)}, limits={"wait_limit": "300ms"})
    running = harness.send_raw_chat("chat")
    harness.wait_for_ticket(stage="running")
    with pytest.raises(openai.APIStatusError) as raised:
        harness.chat("chat")
    assert raised.value.status_code == 504 and raised.value.code == "wait_limit"
    assert harness.tickets(stage="waiting") == []
    assert running.status == 200


def test_a_lease_names_its_own_limit(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    holder = harness.post("/v1/leases", {"consumer": "train"}).json()
    late = harness.post("/v1/leases", {"consumer": "train", "wait_limit": "100ms"})
    assert late.status_code == 504 and late.json()["error"]["code"] == "wait_limit"
    assert harness.http_client.delete(f"/v1/leases/{holder['id']}").status_code == 200

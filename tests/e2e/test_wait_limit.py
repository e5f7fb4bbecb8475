"""Whoever waits longer than the limit is told so with 504, and its place is free."""
import openai
import pytest


def test_a_request_gives_up_after_the_wait_limit(house):
    house.open({"chat": house.fake("chat", run_ms=1500)}, limits={"wait_limit": "300ms"})
    running = house.raw_chat("chat")
    house.wait_for_ticket(stage="running")
    with pytest.raises(openai.APIStatusError) as told:
        house.ask("chat")
    assert told.value.status_code == 504 and told.value.code == "wait_limit"
    assert house.line(stage="waiting") == []
    assert running.status == 200


def test_a_lease_names_its_own_limit(house):
    house.open({"train": {"footprint": "4GiB"}})
    holder = house.post("/v1/leases", {"consumer": "train"}).json()
    late = house.post("/v1/leases", {"consumer": "train", "wait_limit": "100ms"})
    assert late.status_code == 504 and late.json()["error"]["code"] == "wait_limit"
    assert house.http.delete(f"/v1/leases/{holder['id']}").status_code == 200

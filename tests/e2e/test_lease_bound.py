"""A lease bound to its connection: it streams the place in the line, and ends with the connection."""
import contextlib
import json

from daemon_harness import wait_until


@contextlib.contextmanager
def bound_lease(harness, **fields):
    with harness.http_client.stream("POST", "/v1/leases", json={"bind": "connection", **fields}) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("application/x-ndjson")
        yield (json.loads(line) for line in answer.iter_lines() if line.strip())


def test_it_hears_its_place_is_granted_and_closing_gives_it_back(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    holder = harness.post("/v1/leases", {"consumer": "train"}).json()
    with bound_lease(harness, consumer="train") as events:
        waiting = next(events)
        assert waiting["event"] == "waiting" and waiting["place"] == 1
        harness.http_client.delete(f"/v1/leases/{holder['id']}")
        granted = next(event for event in events if event["event"] != "waiting")
        assert granted["event"] == "granted" and granted["ticket"] == waiting["ticket"] and granted["ttl_ms"] is None
        [running] = harness.tickets(stage="running")
        assert running["ticket"] == granted["ticket"]
    harness.wait_until_quiet()


def test_a_client_that_leaves_while_it_waits_frees_its_place(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    holder = harness.post("/v1/leases", {"consumer": "train"}).json()
    with bound_lease(harness, consumer="train") as events:
        assert next(events)["event"] == "waiting"
    # The daemon may handle the two connections in either order.
    wait_until(lambda: not harness.tickets(stage="waiting"), "the ticket to leave the line")
    harness.http_client.delete(f"/v1/leases/{holder['id']}")
    harness.wait_until_quiet()
    assert len(harness.events("granted")) == 1


def test_an_operator_may_end_it_and_the_holder_hears_why(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    with bound_lease(harness, consumer="train", who="a test") as events:
        granted = next(event for event in events if event["event"] == "granted")
        assert harness.tickets()[0]["who"] == "a test"
        assert harness.http_client.delete(f"/v1/line/{granted['ticket']}").json()["cancelled"] is True
        ended = next(events)
    assert ended["event"] == "ended" and ended["error"]["code"] == "cancelled" and ended["error"]["message"]
    harness.wait_until_quiet()


def test_what_is_wrong_in_itself_is_no_stream(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    for body, status in (({"consumer": "tran"}, 404), ({}, 400), ({"consumer": "train", "ttl": 5}, 400),
                         ({"consumer": "train", "byts": 1}, 400), ({"bytes": "6 Gigs"}, 400)):
        answer = harness.post("/v1/leases", {"bind": "connection", **body})
        assert answer.status_code == status and answer.json()["error"]["message"], body

"""A lease that is bound to its connection: it tells where it stands, and ends with the connection."""
import contextlib
import json

from house import wait_until


@contextlib.contextmanager
def bound_lease(house, **asked):
    with house.http.stream("POST", "/v1/leases", json={"bind": "connection", **asked}) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("application/x-ndjson")
        yield (json.loads(line) for line in answer.iter_lines() if line.strip())


def test_it_hears_its_place_is_granted_and_closing_gives_it_back(house):
    house.open({"train": {"footprint": "4GiB"}})
    holder = house.post("/v1/leases", {"consumer": "train"}).json()
    with bound_lease(house, consumer="train") as events:
        waiting = next(events)
        assert waiting["event"] == "waiting" and waiting["place"] == 1
        house.http.delete(f"/v1/leases/{holder['id']}")
        granted = next(event for event in events if event["event"] != "waiting")
        assert granted["event"] == "granted" and granted["ticket"] == waiting["ticket"] and granted["ttl_ms"] is None
        [running] = house.line(stage="running")
        assert running["ticket"] == granted["ticket"]
    house.wait_until_quiet()


def test_a_client_that_leaves_while_it_waits_frees_its_place(house):
    house.open({"train": {"footprint": "4GiB"}})
    holder = house.post("/v1/leases", {"consumer": "train"}).json()
    with bound_lease(house, consumer="train") as events:
        assert next(events)["event"] == "waiting"
    # Two connections: which of them the daemon hears first is not said.
    wait_until(lambda: not house.line(stage="waiting"), "the daemon to notice")
    house.http.delete(f"/v1/leases/{holder['id']}")
    house.wait_until_quiet()
    assert len(house.events("granted")) == 1


def test_an_operator_may_end_it_and_the_holder_hears_why(house):
    house.open({"train": {"footprint": "4GiB"}})
    with bound_lease(house, consumer="train", who="a test") as events:
        granted = next(event for event in events if event["event"] == "granted")
        assert house.line()[0]["who"] == "a test"
        assert house.http.delete(f"/v1/line/{granted['ticket']}").json()["cancelled"] is True
        ended = next(events)
    assert ended["event"] == "ended" and ended["error"]["code"] == "cancelled" and ended["error"]["message"]
    house.wait_until_quiet()


def test_what_is_wrong_in_itself_is_no_stream(house):
    house.open({"train": {"footprint": "4GiB"}})
    for body, status in (({"consumer": "tran"}, 404), ({}, 400), ({"consumer": "train", "ttl": 5}, 400),
                         ({"consumer": "train", "byts": 1}, 400), ({"bytes": "6 Gigs"}, 400)):
        answer = house.post("/v1/leases", {"bind": "connection", **body})
        assert answer.status_code == status and answer.json()["error"]["message"], body

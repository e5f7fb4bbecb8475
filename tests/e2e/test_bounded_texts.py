"""What clients say of themselves is kept, shown and stored in a size of ours, not of theirs."""
import pytest

from house import MiB, background, wait_until

LONG = "x" * 60_000


@pytest.fixture
def busy(house):
    """A consumer that somebody has, so that all others wait."""
    house.open({"chat": house.fake("chat"), "train": {"footprint": "1GiB"},
                "silent": {"footprint": "1GiB", "service": "ollama", "url": "http://127.0.0.1:9"}},
               limits={"wait_limit": "1m"})
    house.lease = house.post("/v1/leases", {"consumer": "train", "ttl": "1m"}).json()
    yield house
    house.http.delete(f"/v1/leases/{house.lease['id']}")


def test_a_path_of_64_KiB(busy):
    waiting = busy.raw("POST", f"/c/chat/v1/{LONG}", b"{}")
    ticket = busy.wait_for_ticket(consumer="chat")
    assert len(ticket["who"]) <= 200
    assert ticket["who"].startswith("POST /c/chat/v1/xxx") and " from 127.0.0.1" in ticket["who"]
    waiting.hang_up()
    wait_until(lambda: not busy.line(consumer="chat"), "the line without it")


def test_a_status_with_many_that_wait_for_long_paths(busy):
    waiting = [busy.raw("POST", f"/c/chat/v1/{LONG}", b"{}") for _ in range(200)]
    busy.wait_for_ticket(200, consumer="chat")
    assert len(busy.http.get("/v1/status").content) < 200 * 1500
    for one in waiting:
        one.hang_up()


def test_who_and_user_steer_no_terminal(busy):
    asked = background(busy.post, "/v1/leases",
                       {"bytes": "1GiB", "who": "a\u001b[31m\u009bred\r\nline ä€", "user": "b\u001b[0m", "wait_limit": "1m"})
    ticket = busy.wait_for_ticket(stage="waiting")
    assert ticket["who"] == "a\\x1b[31m\\u009bred\\x0d\\x0aline ä€"
    assert ticket["user"] == "b\\x1b[0m"
    busy.http.delete(f"/v1/line/{ticket['ticket']}")
    assert asked.result(20).status_code == 499


def test_names_of_ai_models_that_nobody_knows(busy):
    """Each makes a resident, of a service that was never heard: not for ever, and not of any length."""
    codes = [busy.http.get("/v1/explain/next", params={"consumer": f"silent/name-{i}"}).status_code for i in range(300)]
    assert codes[0] == 200 and codes[-1] == 404
    assert codes.count(200) == 256
    refused = busy.http.get("/v1/explain/next", params={"consumer": "silent/" + LONG[:20_000]})
    assert refused.status_code == 404 and len(refused.content) < 1000
    unknown = busy.http.get("/v1/explain/next", params={"consumer": LONG[:20_000]})
    assert unknown.status_code == 404 and len(unknown.content) < 2000


def test_the_store_stays_small(house):
    house.open({"chat": house.fake("chat")})
    for i in range(300):
        assert house.http.post(f"/c/chat/v1/{LONG}{i}", json={"messages": []}).status_code == 200
    assert house.stop_daemon() == 0
    assert sum(file.stat().st_size for file in house.state_file.parent.glob("mgpu.db*")) < MiB

"""Texts from clients (path, `who`, user, AI model) are kept, shown and stored only up to a fixed size."""
import pytest

from daemon_harness import MiB, run_in_background, wait_until

LONG = "x" * 60_000


@pytest.fixture
def busy_harness(harness):
    """A daemon whose only turn is held by a lease, so that every request waits."""
    harness.start_with({"chat": harness.fake_consumer("chat"), "train": {"footprint": "1GiB"},
                        "silent": {"footprint": "1GiB", "service": "ollama", "url": "http://127.0.0.1:9"}},
                       limits={"wait_limit": "1m"})
    harness.lease = harness.post("/v1/leases", {"consumer": "train", "ttl": "1m"}).json()
    yield harness
    harness.http_client.delete(f"/v1/leases/{harness.lease['id']}")


def test_a_path_of_64_KiB(busy_harness):
    waiting = busy_harness.send_raw("POST", f"/c/chat/v1/{LONG}", b"{}")
    ticket = busy_harness.wait_for_ticket(consumer="chat")
    assert len(ticket["who"]) <= 200
    assert ticket["who"].startswith("POST /c/chat/v1/xxx") and " from 127.0.0.1" in ticket["who"]
    waiting.close()
    wait_until(lambda: not busy_harness.tickets(consumer="chat"), "the ticket to leave the line")


def test_a_status_with_many_that_wait_for_long_paths(busy_harness):
    waiting = [busy_harness.send_raw("POST", f"/c/chat/v1/{LONG}", b"{}") for _ in range(200)]
    busy_harness.wait_for_ticket(200, consumer="chat")
    assert len(busy_harness.http_client.get("/v1/status").content) < 200 * 1500
    for connection in waiting:
        connection.close()


def test_who_and_user_steer_no_terminal(busy_harness):
    request = run_in_background(busy_harness.post, "/v1/leases",
                                {"bytes": "1GiB", "who": "a\u001b[31m\u009bred\r\nline ä€", "user": "b\u001b[0m",
                                 "wait_limit": "1m"})
    ticket = busy_harness.wait_for_ticket(stage="waiting")
    assert ticket["who"] == "a\\x1b[31m\\u009bred\\x0d\\x0aline ä€"
    assert ticket["user"] == "b\\x1b[0m"
    busy_harness.http_client.delete(f"/v1/line/{ticket['ticket']}")
    assert request.result(20).status_code == 499


def test_names_of_ai_models_that_nobody_knows(busy_harness):
    """The service never answers, so any name may be an AI model of it: number and length of the names are limited."""
    codes = [busy_harness.http_client.get("/v1/explain/next", params={"consumer": f"silent/name-{i}"}).status_code
             for i in range(300)]
    assert codes[0] == 200 and codes[-1] == 404
    assert codes.count(200) == 256
    too_long = busy_harness.http_client.get("/v1/explain/next", params={"consumer": "silent/" + LONG[:20_000]})
    assert too_long.status_code == 404 and len(too_long.content) < 1000
    unknown = busy_harness.http_client.get("/v1/explain/next", params={"consumer": LONG[:20_000]})
    assert unknown.status_code == 404 and len(unknown.content) < 2000


def test_the_store_stays_small(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    for i in range(300):
        assert harness.http_client.post(f"/c/chat/v1/{LONG}{i}", json={"messages": []}).status_code == 200
    assert harness.stop_daemon() == 0
    assert sum(file.stat().st_size for file in harness.state_file.parent.glob("mgpu.db*")) < MiB

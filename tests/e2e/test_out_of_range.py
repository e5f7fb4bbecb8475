"""Byte sizes and durations have one range; a value outside is refused at the input and changes nothing."""
import pytest

from daemon_harness import wait_until

TOO_LONG = "99999999h"


@pytest.fixture
def chat_harness(harness):
    harness.start_with({"chat": harness.fake_consumer("chat"), "train": {"footprint": "1GiB"}})
    harness.chat("chat")
    return harness


@pytest.mark.parametrize("name", ["X-Mgpu-Wait-Limit", "X-Mgpu-Deadline"])
def test_a_header(chat_harness, name):
    before = chat_harness.events()[-1][1]["id"]
    answer = chat_harness.post("/v1/chat/completions", {"model": "chat", "messages": []}, headers={name: TOO_LONG})
    assert answer.status_code == 400, answer.text
    assert "at most 366d" in answer.text
    assert not chat_harness.tickets()
    assert not [event for event in chat_harness.events("ticket_arrived") if event[1]["id"] > before]


@pytest.mark.parametrize("more", [
    {"ttl": TOO_LONG}, {"wait_limit": TOO_LONG}, {"deadline": TOO_LONG}, {"bytes": "99999999TiB"},
    {"bytes": 9223372036854775807}, {"bytes": -1}, {"bytes": 1e300}, {"bytes": 0.5}])
def test_a_lease(chat_harness, more):
    answer = chat_harness.post("/v1/leases", {"consumer": "train", **more})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "invalid_request"
    assert not chat_harness.tickets()


def test_the_longest_lease_lives(chat_harness):
    lease = chat_harness.post("/v1/leases", {"consumer": "train", "ttl": "366d", "wait_limit": "366d", "deadline": "366d"}).json()
    assert lease["ttl_ms"] == 366 * 24 * 3600 * 1000

    def count_of(name):
        events = chat_harness.http_client.get("/v1/events", params={"follow": "false", "all": "true"})
        return events.text.count(f"event: {name}\n")

    ticks, readings = count_of("tick"), count_of("reading_taken")
    wait_until(lambda: count_of("reading_taken") > readings + 5, "five more readings")
    assert count_of("tick") - ticks < 100, "a distant deadline must not cause ticks"
    assert chat_harness.get("/v1/leases")["leases"], "the lease must still be held"
    assert chat_harness.http_client.delete(f"/v1/leases/{lease['id']}").status_code == 200


@pytest.mark.parametrize("words", [
    ("run", "--bytes", "99999999TiB", "--", "true"), ("run", "--bytes", "1GiB", "--wait-limit", TOO_LONG, "--", "true"),
    ("run", "--bytes", "1GiB", "--deadline", TOO_LONG, "--", "true"), ("serve", "--simulated", "99999999TiB")])
def test_an_option(harness, words):
    result = harness.run_mgpu(*words)
    assert result.returncode == 2, result.stderr
    assert "out of range" in result.stderr


def test_the_configuration(harness):
    harness.write_config({"chat": harness.fake_consumer("chat", load_limit=TOO_LONG)})
    result = harness.run_mgpu("config", "check", harness.config_file)
    assert result.returncode == 2
    assert "at most 366d" in result.stdout + result.stderr

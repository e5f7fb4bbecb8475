"""Amounts and durations have one range; what is outside is refused where it comes in, and nothing is put in motion."""
import pytest

from house import wait_until

TOO_LONG = "99999999h"


@pytest.fixture
def chat(house):
    house.open({"chat": house.fake("chat"), "train": {"footprint": "1GiB"}})
    house.ask("chat")
    return house


@pytest.mark.parametrize("name", ["X-Mgpu-Wait-Limit", "X-Mgpu-Deadline"])
def test_a_header(chat, name):
    before = chat.events()[-1][1]["id"]
    answer = chat.post("/v1/chat/completions", {"model": "chat", "messages": []}, headers={name: TOO_LONG})
    assert answer.status_code == 400, answer.text
    assert "at most 366d" in answer.text
    assert not chat.line()
    assert not [event for event in chat.events("ticket_arrived") if event[1]["id"] > before]


@pytest.mark.parametrize("more", [
    {"ttl": TOO_LONG}, {"wait_limit": TOO_LONG}, {"deadline": TOO_LONG}, {"bytes": "99999999TiB"},
    {"bytes": 9223372036854775807}, {"bytes": -1}, {"bytes": 1e300}, {"bytes": 0.5}])
def test_a_lease(chat, more):
    answer = chat.post("/v1/leases", {"consumer": "train", **more})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "invalid_request"
    assert not chat.line()


def test_the_longest_lease_lives(chat):
    lease = chat.post("/v1/leases", {"consumer": "train", "ttl": "366d", "wait_limit": "366d", "deadline": "366d"}).json()
    assert lease["ttl_ms"] == 366 * 24 * 3600 * 1000

    def counted(name):
        return chat.http.get("/v1/events", params={"follow": "false", "all": "true"}).text.count(f"event: {name}\n")

    ticks, readings = counted("tick"), counted("reading_taken")
    wait_until(lambda: counted("reading_taken") > readings + 5, "half a second or so")
    assert counted("tick") - ticks < 100, "a far limit must not keep the strand busy"
    assert chat.get("/v1/leases")["leases"], "and the lease lives"
    assert chat.http.delete(f"/v1/leases/{lease['id']}").status_code == 200


@pytest.mark.parametrize("words", [
    ("run", "--bytes", "99999999TiB", "--", "true"), ("run", "--bytes", "1GiB", "--wait-limit", TOO_LONG, "--", "true"),
    ("run", "--bytes", "1GiB", "--deadline", TOO_LONG, "--", "true"), ("serve", "--simulated", "99999999TiB")])
def test_an_option(house, words):
    ran = house.mgpu(*words)
    assert ran.returncode == 2, ran.stderr
    assert "out of range" in ran.stderr


def test_the_configuration(house):
    house.write_config({"chat": house.fake("chat", load_limit=TOO_LONG)})
    ran = house.mgpu("config", "check", house.config_file)
    assert ran.returncode == 2
    assert "at most 366d" in ran.stdout + ran.stderr

"""What was seen corrects what was declared, and the next life of the daemon begins with it."""
import json
import time

from house import GiB, wait_until


def footprints(house):
    rows = json.loads(house.mgpu("footprints", "--json").stdout)["footprints"]
    return {row["consumer"]: row for row in rows}


def ask_and_be_seen(house, name):
    """One job, and a reading taken after it: what nobody looked at teaches nothing."""
    house.ask(name)
    house.wait_until_quiet()
    began = time.monotonic()

    def read_since():
        passed = (time.monotonic() - began) * 1000  # before the question is on its way
        return house.status()["devices"][0]["memory"]["reading_age_ms"] < passed
    wait_until(read_since, "a reading after the job")


def unload(house, name):
    answer = house.post(f"/v1/consumers/{name}/unload")
    assert answer.status_code == 200, answer.text


def test_footprint_and_load_seconds_survive_a_restart(house):
    house.open({"chat": house.fake("chat", "8GiB", holds="5GiB", load_ms=200), "voice": house.fake("voice", "3GiB")})
    ask_and_be_seen(house, "chat")
    unload(house, "chat")
    before = footprints(house)
    assert before["chat"]["source"] == "learned" and before["chat"]["expected_bytes"] == 5 * GiB
    assert before["chat"]["learned"]["load_cold_ms"] >= 200 and before["chat"]["learned"]["loads"] == 1
    assert before["voice"]["source"] == "declared"

    assert house.stop_daemon() == 0
    house.http.close()
    house.start_daemon()

    assert footprints(house) == before


def test_two_that_declared_too_much_fit_together_once_they_were_seen(house):
    house.open({name: house.fake(name, "8GiB", holds="4GiB") for name in ("chat", "voice")}, gpu="12GiB")
    ask_and_be_seen(house, "chat")
    ask_and_be_seen(house, "voice")
    assert house.state("chat") == "cold", "8 and 8 GiB are too much for 12"
    ask_and_be_seen(house, "chat")
    evictions = len(house.events("evicted"))

    house.ask("voice")
    house.ask("chat")

    assert house.state("chat") == house.state("voice") == "warm"
    assert len(house.events("evicted")) == evictions, "nobody had to leave any more"
    assert house.gpus()[0]["used"] == 8 * GiB
    assert {row["expected_bytes"] for row in footprints(house).values()} == {4 * GiB}


def test_what_was_learned_lets_them_fit_in_the_next_life_too(house):
    house.open({name: house.fake(name, "8GiB", holds="4GiB") for name in ("chat", "voice")}, gpu="12GiB")
    for name in ("chat", "voice"):
        ask_and_be_seen(house, name)
        unload(house, name)
    assert house.stop_daemon() == 0
    house.http.close()
    house.start_daemon()

    house.ask("chat")
    house.ask("voice")

    assert house.state("chat") == house.state("voice") == "warm" and not house.events("evicted")

"""Measured footprints replace declared ones, and survive a restart of the daemon."""
import datetime
import json
import time

from daemon_harness import GiB, wait_until


def footprint_rows(harness):
    rows = json.loads(harness.run_mgpu("footprints", "--json").stdout)["footprints"]
    return {row["consumer"]: row for row in rows}


def chat_and_wait_for_reading(harness, name):
    """Runs one job and waits for a reading after it: a footprint is learned from readings only."""
    harness.chat(name)
    harness.wait_until_quiet()
    began = time.time()

    def has_newer_reading():
        status = harness.status()
        as_of = datetime.datetime.fromisoformat(status["as_of"]).timestamp()
        return as_of - status["devices"][0]["memory"]["reading_age_ms"] / 1000 > began
    wait_until(has_newer_reading, "a reading after the job")


def unload(harness, name):
    answer = harness.post(f"/v1/consumers/{name}/unload")
    assert answer.status_code == 200, answer.text


def test_footprint_and_load_seconds_survive_a_restart(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "8GiB", holds="5GiB", load_ms=200),
                        "voice": harness.fake_consumer("voice", "3GiB")})
    chat_and_wait_for_reading(harness, "chat")
    unload(harness, "chat")
    before = footprint_rows(harness)
    assert before["chat"]["source"] == "learned" and before["chat"]["expected_bytes"] == 5 * GiB
    assert before["chat"]["learned"]["load_cold_ms"] >= 200 and before["chat"]["learned"]["loads"] == 1
    assert before["voice"]["source"] == "declared"

    assert harness.stop_daemon() == 0
    harness.http_client.close()
    harness.start_daemon()

    assert footprint_rows(harness) == before


def test_two_that_declared_too_much_fit_together_once_they_were_seen(harness):
    harness.start_with({name: harness.fake_consumer(name, "8GiB", holds="4GiB") for name in ("chat", "voice")}, gpu="12GiB")
    chat_and_wait_for_reading(harness, "chat")
    chat_and_wait_for_reading(harness, "voice")
    assert harness.state("chat") == "cold", "8 + 8 GiB do not fit into 12 GiB"
    chat_and_wait_for_reading(harness, "chat")
    evictions = len(harness.events("evicted"))

    harness.chat("voice")
    harness.chat("chat")

    assert harness.state("chat") == harness.state("voice") == "warm"
    assert len(harness.events("evicted")) == evictions, "no eviction is needed any more"
    assert harness.gpu_states()[0]["used"] == 8 * GiB
    assert {row["expected_bytes"] for row in footprint_rows(harness).values()} == {4 * GiB}


def test_what_was_learned_lets_them_fit_in_the_next_life_too(harness):
    harness.start_with({name: harness.fake_consumer(name, "8GiB", holds="4GiB") for name in ("chat", "voice")}, gpu="12GiB")
    for name in ("chat", "voice"):
        chat_and_wait_for_reading(harness, name)
        unload(harness, name)
    assert harness.stop_daemon() == 0
    harness.http_client.close()
    harness.start_daemon()

    harness.chat("chat")
    harness.chat("voice")

    assert harness.state("chat") == harness.state("voice") == "warm" and not harness.events("evicted")

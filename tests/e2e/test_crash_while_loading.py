"""A service that dies while it loads: its client hears why, with the last lines of its log, and the others go on."""
import os
import signal

import openai
import pytest


def test_the_client_reads_the_log_lines_and_others_are_served(house):
    house.open({"broken": house.fake("broken", load_ms=100, fault="crash-at-load"), "chat": house.fake("chat", "8GiB")})

    with pytest.raises(openai.InternalServerError) as told:
        house.ask("broken")

    assert told.value.status_code == 503 and told.value.code == "load_failed"
    assert "exited with code 1" in told.value.message
    assert "cannot open model.gguf" in told.value.message
    broken = house.consumer("broken")
    assert broken["state"] == "failed" and "model.gguf" in broken["residents"][0]["error"]
    assert any("model.gguf" in line for line in broken["log"])
    assert house.ask("chat") == "answer of chat"


def test_killed_from_outside_while_it_loads(house):
    house.open({"slow": house.fake("slow", load_ms=5000), "chat": house.fake("chat", "8GiB")})
    client = house.raw_chat("slow")
    house.wait_for_state("slow", "loading")
    os.kill(house.consumer("slow")["pid"], signal.SIGKILL)

    assert client.status == 503 and "signal 9" in client.json()["error"]["message"]
    assert house.ask("chat") == "answer of chat"

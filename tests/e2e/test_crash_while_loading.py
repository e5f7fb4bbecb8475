"""A service that dies while it loads: its client gets the reason with the last lines of the log, other consumers are
served."""
import os
import signal

import openai
import pytest


def test_the_client_reads_the_log_lines_and_others_are_served(harness):
    harness.start_with({"broken": harness.fake_consumer("broken", load_ms=100, fault="crash-at-load"),
                        "chat": harness.fake_consumer("chat", "8GiB")})

    with pytest.raises(openai.InternalServerError) as raised:
        harness.chat("broken")

    assert raised.value.status_code == 503 and raised.value.code == "load_failed"
    assert "exited with code 1" in raised.value.message
    assert "cannot open model.gguf" in raised.value.message
    broken = harness.consumer("broken")
    assert broken["state"] == "failed" and "model.gguf" in broken["residents"][0]["error"]
    assert any("model.gguf" in line for line in broken["log"])
    assert harness.chat("chat") == "answer of chat"


def test_killed_from_outside_while_it_loads(harness):
    harness.start_with({"slow": harness.fake_consumer("slow", load_ms=5000), "chat": harness.fake_consumer("chat", "8GiB")})
    client = harness.send_raw_chat("slow")
    harness.wait_for_state("slow", "loading")
    os.kill(harness.consumer("slow")["pid"], signal.SIGKILL)

    assert client.status == 503 and "signal 9" in client.json()["error"]["message"]
    assert harness.chat("chat") == "answer of chat"

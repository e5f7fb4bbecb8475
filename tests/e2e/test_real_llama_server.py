"""The service `llama-server` against llama.cpp's own server: start, wait for the load, requests through the line, activity,
sleep."""
import pathlib
import sys
import time

import httpx
import pytest

from daemon_harness import TREE, wait_until

SERVER = TREE / "tests/e2e/real_llama_server.py"
PROBE_SECONDS = 6  # the daemon probes an external service at least once in this time


def complete_prompt(harness, tokens):
    with harness.openai(timeout=240) as client:  # on a loaded machine, waking up takes a minute
        return client.completions.create(model="llm", prompt="Question: What is the capital of France?\nAnswer:",
                                         max_tokens=tokens, temperature=0).choices[0].text


def start_server_directly(harness, *options):
    """Starts the server without the daemon; returns its URL."""
    server = harness.start_program("-u", SERVER, "--port", "0", *options, program=pathlib.Path(sys.executable))
    return server.wait_for_output(r"listening on (http://\S+)", 120)[1]


@pytest.mark.timeout(300)
def test_is_started_and_answers_through_the_line(harness):
    harness.start_with({"llm": {"service": "llama-server", "footprint": "1GiB", "concurrency": 2, "load_limit": "2m",
                                "runner": {"process": {"command": [sys.executable, str(SERVER), "--port", "${PORT}"]}}}})
    assert "Paris" in complete_prompt(harness, 8)
    assert harness.state("llm") == "warm"
    assert [name for name, _ in harness.events("load_ended")] == ["load_ended"]
    unloaded = harness.post("/v1/consumers/llm/unload")
    assert unloaded.status_code in (200, 202), unloaded.text
    harness.wait_for_state("llm", "cold")


@pytest.mark.timeout(300)
def test_a_lease_lasts_while_a_slot_works(harness):
    url = start_server_directly(harness)
    harness.start_with({"llm": {"service": "llama-server", "footprint": "1GiB", "url": url}})
    harness.wait_for_state("llm", "warm")  # the service is healthy and its model loaded
    busy_slots = lambda: sum(slot["is_processing"] for slot in httpx.get(f"{url}/slots").json())
    endless = {"prompt": "Once upon a time", "n_predict": 1900, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", f"{url}/completion", json=endless, timeout=60) as direct_stream:
        words = direct_stream.iter_lines()  # a reference: without it the connection would be closed
        next(words)
        assert complete_prompt(harness, 4)
        assert busy_slots() == 1 and harness.tickets(stage="running"), "the service still works, so the lease must last"
    harness.wait_until_quiet()  # llama-server cancels a request whose client is gone


@pytest.mark.timeout(300)
def test_what_sleeps_is_cold_and_sleeps_on(harness):
    url = start_server_directly(harness, "--sleep-idle-seconds", "1")
    is_sleeping = lambda: httpx.get(f"{url}/props").json()["is_sleeping"]
    wait_until(is_sleeping, "llama-server to sleep")
    harness.start_with({"llm": {"service": "llama-server", "footprint": "1GiB", "url": url}})
    time.sleep(PROBE_SECONDS)
    assert is_sleeping(), "a probe must not wake it"
    assert harness.state("llm") == "cold"
    assert "Paris" in complete_prompt(harness, 8), "a request must wake it"

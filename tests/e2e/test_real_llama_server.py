"""The contract with llama-server, against llama.cpp's own server: it is started, waited for while it loads, asked through
the line, seen to be at work, and let sleep."""
import pathlib
import sys
import time

import httpx
import pytest

from house import TREE, wait_until

SERVER = TREE / "tests/e2e/real_llama_server.py"
LOOKED = 6  # seconds in which the daemon has looked at an external service again


def complete(house, tokens):
    with house.openai(timeout=240) as client:  # a busy machine needs a minute to wake it
        return client.completions.create(model="llm", prompt="Question: What is the capital of France?\nAnswer:",
                                         max_tokens=tokens, temperature=0).choices[0].text


def at_port_of_its_own(house, *options):
    """Starts the server without the daemon; its url."""
    server = house.start("-u", SERVER, "--port", "0", *options, program=pathlib.Path(sys.executable))
    return server.wait_for(r"listening on (http://\S+)", 120)[1]


@pytest.mark.timeout(300)
def test_is_started_and_answers_through_the_line(house):
    house.open({"llm": {"service": "llama-server", "footprint": "1GiB", "concurrency": 2, "load_limit": "2m",
                        "runner": {"process": {"command": [sys.executable, str(SERVER), "--port", "${PORT}"]}}}})
    assert "Paris" in complete(house, 8)
    assert house.state("llm") == "warm"
    assert [name for name, _ in house.events("load_ended")] == ["load_ended"]
    unloaded = house.post("/v1/consumers/llm/unload")
    assert unloaded.status_code in (200, 202), unloaded.text
    house.wait_for_state("llm", "cold")


@pytest.mark.timeout(300)
def test_a_lease_lasts_while_a_slot_works(house):
    url = at_port_of_its_own(house)
    house.open({"llm": {"service": "llama-server", "footprint": "1GiB", "url": url}})
    house.wait_for_state("llm", "warm")  # it is up, and holds what it serves
    slots = lambda: sum(slot["is_processing"] for slot in httpx.get(f"{url}/slots").json())
    endless = {"prompt": "Once upon a time", "n_predict": 1900, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", f"{url}/completion", json=endless, timeout=60) as behind_our_back:
        words = behind_our_back.iter_lines()  # dropping it would close the connection
        next(words)
        assert complete(house, 4)
        assert slots() == 1 and house.line(stage="running"), "answered, but the service is at work still"
    house.wait_until_quiet()  # it ends what nobody listens to


@pytest.mark.timeout(300)
def test_what_sleeps_is_cold_and_sleeps_on(house):
    url = at_port_of_its_own(house, "--sleep-idle-seconds", "1")
    sleeps = lambda: httpx.get(f"{url}/props").json()["is_sleeping"]
    wait_until(sleeps, "it to sleep")
    house.open({"llm": {"service": "llama-server", "footprint": "1GiB", "url": url}})
    time.sleep(LOOKED)
    assert sleeps(), "a look must not wake it"
    assert house.state("llm") == "cold"
    assert "Paris" in complete(house, 8), "the next request does"

"""Ollama unloads, loads and forgets AI models by itself or for clients that bypass the daemon: its keep_alive timer, an
unload or a delete by somebody else, a runner that dies. The daemon knows within two seconds and refuses nobody for it."""
import os
import pathlib
import signal

import httpx
import pytest

from daemon_harness import parse_size, wait_until

SECONDS = 3  # the daemon's two, and one for a busy machine
SIZES = {"small": "4GiB", "big": "6GiB"}
FOOTPRINTS = {f"{name}:latest": parse_size(size) for name, size in SIZES.items()}


class Ollama:
    """A daemon that runs the fake Ollama, which loads each AI model in a child process, and `image` beside it."""

    def __init__(self, harness):
        self.harness = harness
        ollama = harness.fake_ollama_consumer(SIZES)
        ollama["runner"]["process"]["command"] += ["--children"]
        harness.start_with({"ollama": ollama, "image": harness.fake_consumer("image", "9GiB")}, gpu="12GiB")

    def chat(self, name, **options):
        assert self.harness.ollama().chat(name, [{"role": "user", "content": "hello"}], **options).message.content

    def command_lines(self):
        lines = {}
        for pid in self.harness.process_pids():
            try:
                lines[pid] = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except OSError:
                pass
        return lines

    def send(self, path, method="POST", **body):
        """Asks Ollama past the daemon."""
        port = next(words[words.index("--port") + 1] for words in self.command_lines().values() if "--ollama" in words)
        answer = httpx.request(method, f"http://127.0.0.1:{port}{path}", json=body, timeout=10)
        assert answer.is_success, answer.text

    def child(self, name):
        size = str(FOOTPRINTS[name])
        return next(pid for pid, words in self.command_lines().items() if words[1:3] == ["--hold", size])

    def state(self, name):
        residents = self.harness.consumer("ollama")["residents"]
        return next((r["state"] for r in residents if r["ai_model"] == name), "cold")

    def listed(self):
        return [m.model for m in self.harness.ollama().ps().models]

    def wait_for(self, name, state):
        wait_until(lambda: self.state(name) == state, f"{name} to be {state}", SECONDS)
        assert (name in self.listed()) == (state == "warm")

    def committed(self):
        return self.harness.status()["devices"][0]["memory"]["committed_bytes"]


@pytest.fixture
def ollama(harness):
    return Ollama(harness)


def check_room_for_image(ollama):
    """Nothing is committed for what is gone, and others load without an eviction."""
    wait_until(lambda: ollama.committed() == 0, "nothing to be committed", SECONDS)
    assert ollama.harness.chat("image") == "answer of image"
    assert not ollama.harness.events("evict", "eviction_failed", "refused")


def test_an_unload_by_somebody_else_is_seen(ollama):
    ollama.chat("small")
    ollama.send("/api/generate", model="small", keep_alive=0)
    ollama.wait_for("small:latest", "cold")
    check_room_for_image(ollama)


@pytest.mark.parametrize("keep_alive", [0, "1s"])
def test_a_time_to_live_that_somebody_else_set_ends(ollama, keep_alive):
    ollama.chat("small")
    ollama.send("/api/chat", model="small", messages=[{"role": "user", "content": "hello"}], stream=False,
                keep_alive=keep_alive)
    wait_until(lambda: ollama.state("small:latest") == "cold", "the timer's end to be noticed", SECONDS + 1)
    check_room_for_image(ollama)


def test_a_runner_that_is_killed_is_seen(ollama):
    ollama.chat("small")
    os.kill(ollama.child("small:latest"), signal.SIGKILL)
    ollama.wait_for("small:latest", "cold")
    check_room_for_image(ollama)


def test_a_sibling_keeps_its_state(ollama):
    ollama.chat("small")
    ollama.chat("big")
    ollama.send("/api/generate", model="small", keep_alive=0)
    ollama.wait_for("small:latest", "cold")
    assert ollama.state("big:latest") == "warm" and ollama.committed() >= FOOTPRINTS["big:latest"]


def test_the_next_request_loads_through_the_line(ollama):
    ollama.chat("small")
    ollama.send("/api/generate", model="small", keep_alive=0)
    ollama.wait_for("small:latest", "cold")
    ollama.harness.chat("image")
    ollama.chat("small")
    assert [data["consumer"] for _, data in ollama.harness.events("evicted")] == ["image"]
    assert len(ollama.harness.events("load")) == 3


def test_a_load_by_somebody_else_is_counted(ollama):
    ollama.chat("small")
    ollama.send("/api/generate", model="big")
    ollama.wait_for("big:latest", "warm")
    assert ollama.harness.consumer("ollama")["loaded_uninvited"] == 1
    assert ollama.committed() >= parse_size("10GiB")


def test_a_deleted_ai_model_holds_nobody_up(ollama):
    """As `ollama rm` does it: unload, then delete."""
    ollama.chat("small")
    ollama.harness.list_services_now()  # only what was listed before can be gone
    ollama.send("/api/generate", model="small", keep_alive=0)
    ollama.send("/api/delete", method="DELETE", model="small")
    wait_until(lambda: ollama.harness.events("found_gone"), "the end of the AI model to be noticed", SECONDS)
    check_room_for_image(ollama)
    answer = ollama.harness.post("/api/chat", {"model": "small", "messages": []})
    assert answer.status_code == 404 and "small" in answer.text
    ollama.send("/api/pull", model="small")
    wait_until(lambda: ollama.harness.post("/api/chat", {"model": "small", "messages": [], "stream": False}).is_success,
               "the AI model that was fetched again", SECONDS)


def test_what_was_deleted_while_loaded_is_evicted_with_its_process(ollama):
    """The API's delete unloads nothing, and Ollama answers 404 to an unload of what has no files."""
    ollama.chat("small")
    ollama.send("/api/delete", method="DELETE", model="small")
    assert ollama.harness.chat("image") == "answer of image"
    assert not ollama.harness.events("refused")


def test_a_chat_that_unloads_after_itself_leaves_room(ollama):
    ollama.chat("small", keep_alive=0)
    wait_until(lambda: ollama.state("small:latest") == "cold" or ollama.committed() > 0, "a state")
    ollama.harness.chat("image")
    assert not ollama.harness.events("refused", "eviction_failed")

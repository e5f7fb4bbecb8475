"""A consumer in a container: made, found, evicted by stop, killed, and noticed at once when it dies."""
import os
import signal

import pytest

from engine_api import Engine
from house import BIN, free_port, in_bytes, wait_until


@pytest.fixture
def engine(house):
    return Engine(house)


def service(house, name, port, *flags):
    return [BIN / "mgpu-fake-service", "--name", name, "--port", port, "--bytes", in_bytes("8GiB"), "--journal",
            house.journal_file, *flags]


def made(house, engine, *flags, **config):
    """A consumer whose container the daemon makes."""
    command = [str(word) for word in service(house, "chat", "${PORT}", *flags)]
    return {"footprint": "8GiB", "service": "generic", "load_limit": "10s", "stop_limit": "5s",
            "runner": {"container": {"image": "fake", "command": command, "socket": engine.socket}}, **config}


def existing(engine, port, **config):
    return {"footprint": "8GiB", "url": f"http://127.0.0.1:{port}", "stop_limit": "5s",
            "runner": {"container": {"name": "chat", "socket": engine.socket}}, **config}


def test_it_is_made_and_evicted_by_stop(house, engine):
    house.open({"chat": made(house, engine), "voice": house.fake("voice", "8GiB")})
    for name in ("chat", "voice", "chat"):
        assert house.ask(name) == f"answer of {name}"
    assert [data["rung"] for _, data in house.events("evicted")] == ["stop", "stop"]
    container = engine.containers["mgpu-chat"]
    assert container.labels["mgpu.consumer"] == "chat" and house.consumer("chat")["pid"] == container.child.pid
    assert house.gpus()[0]["used"] >= in_bytes("8GiB")

    assert house.stop_daemon() == 0
    assert not container.running(), "what the daemon started ends with it"


def test_one_that_ignores_stop_is_killed(house, engine):
    house.open({"chat": made(house, engine, "--fault", "ignore-stop", stop_limit="300ms"),
                "voice": house.fake("voice", "8GiB")})
    house.ask("chat")
    assert house.ask("voice") == "answer of voice"
    assert [data["rung"] for _, data in house.events("evict")] == ["stop", "kill"]


def test_its_death_is_noticed_at_once_and_explained(house, engine):
    house.open({"chat": made(house, engine)})
    house.ask("chat")
    os.kill(house.consumer("chat")["pid"], signal.SIGKILL)

    house.wait_for_state("chat", "cold")
    assert "exited with code 137" in house.events("service_lost")[0][1]["error"]["message"]
    assert house.ask("chat") == "answer of chat"


def test_one_that_cannot_start_says_why(house, engine):
    house.open({"chat": made(house, engine, "--fault", "crash-at-load")})
    answer = house.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    assert "cannot open model.gguf" in answer.json()["error"]["message"]


def test_one_that_runs_already_is_warm_and_may_be_evicted(house, engine):
    house.make_gpu("12GiB")
    port = free_port()
    engine.add("chat", service(house, "chat", port)).start()
    wait_until(lambda: house.gpus()[0]["used"] >= in_bytes("8GiB"), "its memory")
    house.write_config({"chat": existing(engine, port), "voice": house.fake("voice", "8GiB")})
    house.start_daemon()
    house.wait_for_state("chat", "warm")
    assert house.ask("voice") == "answer of voice"
    assert [data["consumer"] for _, data in house.events("evict")] == ["chat"]
    assert not engine.containers["chat"].running()


def test_one_that_ran_before_the_daemon_runs_on_after_it(house, engine):
    house.make_gpu("12GiB")
    port = free_port()
    container = engine.add("chat", service(house, "chat", port))
    container.start()
    house.write_config({"chat": existing(engine, port)})
    house.start_daemon()
    house.wait_for_state("chat", "warm")
    assert house.stop_daemon() == 0
    assert container.running()


def test_after_the_daemon_was_killed_the_next_one_finds_its_container(house, engine):
    house.open({"chat": made(house, engine)})
    house.ask("chat")
    pid = house.consumer("chat")["pid"]
    house.daemon.kill()

    house.start_daemon()
    house.wait_for_state("chat", "warm")
    assert house.ask("chat") == "answer of chat"
    assert house.consumer("chat")["pid"] == pid and not house.events("load")

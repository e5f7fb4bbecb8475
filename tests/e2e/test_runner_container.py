"""A consumer in a container: created, found, evicted by stop, killed; its death is noticed at once."""
import os
import signal

import pytest

from fake_container_engine import FakeContainerEngine
from daemon_harness import BIN, free_port, parse_size, wait_until


@pytest.fixture
def container_engine(harness):
    return FakeContainerEngine(harness)


def service_command(harness, name, port, *flags):
    return [BIN / "mgpu-fake-service", "--name", name, "--port", port, "--bytes", parse_size("8GiB"), "--journal",
            harness.service_journal_file, *flags]


def created_container_consumer(harness, container_engine, *flags, **config):
    """A consumer whose container the daemon creates."""
    command = [str(word) for word in service_command(harness, "chat", "${PORT}", *flags)]
    return {"footprint": "8GiB", "service": "generic", "load_limit": "10s", "stop_limit": "5s",
            "runner": {"container": {"image": "fake", "command": command, "socket": container_engine.socket}}, **config}


def existing_container_consumer(container_engine, port, **config):
    """A consumer whose container exists already, under the name chat."""
    return {"footprint": "8GiB", "url": f"http://127.0.0.1:{port}", "stop_limit": "5s",
            "runner": {"container": {"name": "chat", "socket": container_engine.socket}}, **config}


def test_it_is_made_and_evicted_by_stop(harness, container_engine):
    harness.start_with({"chat": created_container_consumer(harness, container_engine),
                        "voice": harness.fake_consumer("voice", "8GiB")})
    for name in ("chat", "voice", "chat"):
        assert harness.chat(name) == f"answer of {name}"
    assert [data["rung"] for _, data in harness.events("evicted")] == ["stop", "stop"]
    container = container_engine.containers["mgpu-chat"]
    assert container.labels["mgpu.consumer"] == "chat" and harness.consumer("chat")["pid"] == container.child.pid
    assert harness.gpu_states()[0]["used"] >= parse_size("8GiB")

    assert harness.stop_daemon() == 0
    assert not container.is_running(), "a container that the daemon started must end with it"


def test_one_that_ignores_stop_is_killed(harness, container_engine):
    harness.start_with({"chat": created_container_consumer(harness, container_engine, "--fault", "ignore-stop",
                                                           stop_limit="300ms"),
                        "voice": harness.fake_consumer("voice", "8GiB")})
    harness.chat("chat")
    assert harness.chat("voice") == "answer of voice"
    assert [data["rung"] for _, data in harness.events("evict")] == ["stop", "kill"]


def test_its_death_is_noticed_at_once_and_explained(harness, container_engine):
    harness.start_with({"chat": created_container_consumer(harness, container_engine)})
    harness.chat("chat")
    os.kill(harness.consumer("chat")["pid"], signal.SIGKILL)

    harness.wait_for_state("chat", "cold")
    assert "exited with code 137" in harness.events("service_lost")[0][1]["error"]["message"]
    assert harness.chat("chat") == "answer of chat"


def test_one_that_cannot_start_says_why(harness, container_engine):
    harness.start_with({"chat": created_container_consumer(harness, container_engine, "--fault", "crash-at-load")})
    answer = harness.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    assert "cannot open model.gguf" in answer.json()["error"]["message"]


def test_one_that_runs_already_is_warm_and_may_be_evicted(harness, container_engine):
    harness.make_gpu("12GiB")
    port = free_port()
    container_engine.add("chat", service_command(harness, "chat", port)).start()
    wait_until(lambda: harness.gpu_states()[0]["used"] >= parse_size("8GiB"), "its memory to be allocated")
    harness.write_config({"chat": existing_container_consumer(container_engine, port),
                          "voice": harness.fake_consumer("voice", "8GiB")})
    harness.start_daemon()
    harness.wait_for_state("chat", "warm")
    assert harness.chat("voice") == "answer of voice"
    assert [data["consumer"] for _, data in harness.events("evict")] == ["chat"]
    assert not container_engine.containers["chat"].is_running()


def test_one_that_ran_before_the_daemon_runs_on_after_it(harness, container_engine):
    harness.make_gpu("12GiB")
    port = free_port()
    container = container_engine.add("chat", service_command(harness, "chat", port))
    container.start()
    harness.write_config({"chat": existing_container_consumer(container_engine, port)})
    harness.start_daemon()
    harness.wait_for_state("chat", "warm")
    assert harness.stop_daemon() == 0
    assert container.is_running()


def test_after_the_daemon_was_killed_the_next_one_finds_its_container(harness, container_engine):
    harness.start_with({"chat": created_container_consumer(harness, container_engine)})
    harness.chat("chat")
    pid = harness.consumer("chat")["pid"]
    harness.daemon.kill()

    harness.start_daemon()
    harness.wait_for_state("chat", "warm")
    assert harness.chat("chat") == "answer of chat"
    assert harness.consumer("chat")["pid"] == pid and not harness.events("load")

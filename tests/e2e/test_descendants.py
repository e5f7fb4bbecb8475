"""Every descendant of a consumer's command is the consumer's, in whatever session: its memory is the consumer's, and it ends
with it. With a cgroup for each run where one may be made here, and without."""
import os
import re
import signal

import pytest

from daemon_harness import BIN, GiB, is_running, wait_until

HOLD = f"{BIN}/mgpu-simgpu hold 6GiB --"
WORKER = f"echo worker $$; exec {HOLD} sleep 300"


@pytest.fixture(params=["cgroup", "marks"], autouse=True)
def containment(request, harness):
    if request.param == "marks":
        harness.env["MGPU_CGROUP"] = "off"
    return request.param


def with_worker(harness, name, script, **config):
    """A consumer whose command is a shell script that ends in the fake server ("$@"), and starts a worker before; the two
    hold 7 GiB together."""
    consumer = harness.fake_consumer(name, "7GiB", holds="1GiB", working="0", **config)
    command = consumer["runner"]["process"]["command"]
    consumer["runner"]["process"]["command"] = ["sh", "-c", script, "sh", *command]
    return consumer


def worker_pid(harness, name):
    def find():
        return re.search(r"worker (\d+)", "\n".join(harness.consumer(name)["log"]))

    return int(wait_until(find, "the worker to run")[1])


def memory(harness):
    return harness.status()["devices"][0]["memory"]


WAYS_TO_LEAVE = {
    "session": f"setsid sh -c '{WORKER}' & exec \"$@\"",
    "double fork": f"(setsid sh -c '{WORKER}' &) ; exec \"$@\"",
    "deaf": f"setsid sh -c 'trap \"\" TERM; {WORKER}' & exec \"$@\"",
}


@pytest.mark.parametrize("way", WAYS_TO_LEAVE)
def test_a_worker_that_left_the_session_leaves_with_its_service(harness, way):
    harness.start_with({"vllm": with_worker(harness, "vllm", WAYS_TO_LEAVE[way]), "chat": harness.fake_consumer("chat", "8GiB")})
    assert harness.chat("vllm") == "answer of vllm"
    worker = worker_pid(harness, "vllm")
    wait_until(lambda: memory(harness)["measured_bytes"] == 7 * GiB, "its memory to be the consumer's")
    assert memory(harness)["foreign_bytes"] == 0

    assert harness.chat("chat") == "answer of chat"

    assert not is_running(worker)
    assert memory(harness)["foreign_bytes"] == 0
    assert [data["after_bytes"] for _, data in harness.events("evicted")] == [0]
    assert harness.chat("vllm") == "answer of vllm"


def test_a_worker_ends_with_the_daemon(harness):
    harness.start_with({"vllm": with_worker(harness, "vllm", WAYS_TO_LEAVE["double fork"])})
    harness.chat("vllm")
    worker = worker_pid(harness, "vllm")
    assert harness.stop_daemon() == 0
    assert not is_running(worker)


def test_a_crash_ends_the_workers_too(harness):
    harness.start_with({"vllm": with_worker(harness, "vllm", WAYS_TO_LEAVE["session"])})
    harness.chat("vllm")
    worker = worker_pid(harness, "vllm")
    os.kill(harness.consumer("vllm")["pid"], signal.SIGKILL)
    wait_until(lambda: not is_running(worker), "the worker to end")
    assert harness.chat("vllm") == "answer of vllm"


def test_after_a_kill_of_the_daemon_the_next_one_has_them_all(harness):
    harness.start_with({"vllm": with_worker(harness, "vllm", WAYS_TO_LEAVE["double fork"]),
                        "chat": harness.fake_consumer("chat", "8GiB")})
    harness.chat("vllm")
    worker = worker_pid(harness, "vllm")
    os.kill(harness.daemon.pid, signal.SIGKILL)
    harness.daemon.child.wait()
    harness.http_client.close()
    harness.start_daemon()
    wait_until(lambda: memory(harness)["reading_age_ms"] is not None, "a reading")
    assert memory(harness)["foreign_bytes"] == 0, "adopted or ended: in no case a stranger's"
    assert harness.chat("chat") == "answer of chat"
    assert not is_running(worker)


def test_a_cleared_environment_does_not_help_it_out_of_its_cgroup(harness, containment):
    if containment == "marks":
        pytest.skip("without a cgroup such a process can't be found")
    (harness.folder / "worker").write_text(WORKER)
    kept = ("MGPU_SIMGPU", "MGPU_NVML_LIBRARY", "MGPU_TEST_HARNESS", "PATH")
    variables = " ".join(f"{name}='{harness.env[name]}'" for name in kept)
    script = f"(env -i {variables} setsid sh -c 'sh {harness.folder}/worker & exit' &); exec \"$@\""
    harness.start_with({"vllm": with_worker(harness, "vllm", script)})
    if not any(os.access(f"{root}/cgroup.procs", os.W_OK) for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")):
        pytest.skip("no cgroup may be made here")
    harness.chat("vllm")
    wait_until(lambda: harness.gpu_states()[0]["used"] == 7 * GiB, "the worker to hold its memory")
    harness.run_mgpu("unload", "vllm")
    wait_until(lambda: harness.gpu_states()[0]["used"] == 0, "the worker to end")


def test_a_server_in_the_background_serves_and_is_named(harness):
    chat = harness.fake_consumer("chat", "6GiB", load_ms=300)
    chat["runner"]["process"]["command"] = ["sh", "-c", "setsid \"$@\" & exit 0", "sh", *chat["runner"]["process"]["command"]]
    harness.start_with({"chat": chat, "voice": harness.fake_consumer("voice", "8GiB")})

    assert harness.chat("chat") == "answer of chat"

    note = harness.consumer("chat")["notes"][0]
    assert "must stay in the foreground" in note and note in harness.daemon.output
    assert memory(harness)["foreign_bytes"] == 0 and harness.state("chat") == "warm"
    server = harness.consumer("chat")["pid"]
    assert is_running(server)
    assert harness.chat("voice") == "answer of voice"
    assert not is_running(server)
    assert harness.chat("chat") == "answer of chat"
    os.kill(harness.consumer("chat")["pid"], signal.SIGKILL)
    wait_until(lambda: harness.state("chat") != "warm", "its end to be noticed")
    assert harness.chat("chat") == "answer of chat"


def test_a_command_that_ends_and_leaves_no_server_is_a_failed_load(harness):
    harness.start_with({"chat": {"footprint": "6GiB", "load_limit": "5s", "url": "http://127.0.0.1:${PORT}",
                                 "runner": {"process": {"command": ["sh", "-c", "setsid sleep 300 & sleep 0.1; exit 0", "sh", "${PORT}"]}}}})
    answer = harness.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and "must stay in the foreground" in answer.json()["error"]["message"]
    wait_until(lambda: not [pid for pid in harness.process_pids() if pid != harness.daemon.pid], "what it left to end")

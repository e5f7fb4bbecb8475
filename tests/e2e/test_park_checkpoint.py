"""park: cuda-checkpoint, with a fake driver library and a fake utility that move a process' simulated bytes to host memory
and back. What holds for both is tested with both."""
import json
import os
import pathlib
import signal

import pytest

from daemon_harness import BIN, GiB, run_in_background, wait_until

UTILITY = str(BIN / "fake-cuda-checkpoint")


def use_driver(harness):
    harness.env["MGPU_CUDA_LIBRARY"] = str(BIN / "libmgpu-fake-cuda.so")


@pytest.fixture(params=["driver", "utility"])
def either(request, harness):
    """The harness, once with a driver that has the checkpoint calls, once with the utility alone."""
    harness.cuda_checkpoint = UTILITY
    if request.param == "driver":
        use_driver(harness)
        harness.cuda_checkpoint = "/nowhere/cuda-checkpoint"
    return harness


def start_with_checkpoint(harness, fault="", **consumers):
    (harness.folder / "gpu.checkpoint-fault").write_text(fault)
    for entry in consumers.values():
        entry["park"] = "cuda-checkpoint"
    return harness.start_with(consumers, cuda_checkpoint=getattr(harness, "cuda_checkpoint", UTILITY))


def set_checkpoint_fault(harness, fault):
    (harness.folder / "gpu.checkpoint-fault").write_text(fault)


def checkpoint_commands(harness):
    """The actions that the daemon ran the utility with: "lock", "checkpoint", ..."""
    log = harness.folder / "gpu.checkpoint-log"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def park(harness, name):
    answer = harness.post(f"/v1/consumers/{name}/park")
    assert answer.status_code == 200, answer.text
    return answer.json()["evicted"][0]["state"]


def why_parking_failed(harness):
    return json.dumps([event for _, event in harness.events("rung_ended")])


def test_memory_goes_aside_and_comes_back_with_the_process_alive(either):
    start_with_checkpoint(either, chat=either.fake_consumer("chat", working="0"))
    either.chat("chat")
    pid = either.consumer("chat")["pid"]
    assert park(either, "chat") == "parked"
    device = either.gpu_states()[0]
    assert device["used"] == 0 and device["checkpointed"][0]["bytes"] == 6 * GiB
    assert either.status()["devices"][0]["memory"]["measured_bytes"] == 0
    assert either.chat("chat") == "answer of chat"
    assert either.consumer("chat")["pid"] == pid and either.gpu_states()[0]["used"] == 6 * GiB
    assert checkpoint_commands(either) == ["lock", "checkpoint", "restore", "unlock"]


def test_others_use_the_memory_meanwhile(either):
    start_with_checkpoint(either, chat=either.fake_consumer("chat", "8GiB", working="0"),
                          image=either.fake_consumer("image", "8GiB", working="0"))
    either.chat("chat")
    park(either, "chat")
    assert either.chat("image") == "answer of image"
    assert either.chat("chat") == "answer of chat"


def test_of_several_processes_all_are_locked_before_one_is_checkpointed(either):
    entry = either.fake_consumer("chat", "6GiB", holds="4GiB", working="0")
    command = entry["runner"]["process"]["command"]
    entry["runner"]["process"]["command"] = ["sh", "-c", f'{BIN}/mgpu-simgpu hold 2GiB & exec "$@"', "sh", *command]
    start_with_checkpoint(either, chat=entry)
    either.chat("chat")
    wait_until(lambda: either.status()["devices"][0]["memory"]["measured_bytes"] == 6 * GiB,
               "the memory of both processes to be measured")
    assert park(either, "chat") == "parked"
    assert either.gpu_states()[0]["used"] == 0
    assert either.chat("chat") == "answer of chat"
    assert checkpoint_commands(either) == ["lock"] * 2 + ["checkpoint"] * 2 + ["restore"] * 2 + ["unlock"] * 2


def test_one_that_dies_while_parked_is_loaded_anew(either):
    start_with_checkpoint(either, chat=either.fake_consumer("chat", working="0"))
    either.chat("chat")
    pid = either.consumer("chat")["pid"]
    park(either, "chat")
    os.kill(pid, signal.SIGKILL)
    either.wait_for_state("chat", "cold")
    assert either.chat("chat") == "answer of chat"
    assert either.consumer("chat")["pid"] != pid and "restore" not in checkpoint_commands(either)


def test_a_failed_restore_is_a_failed_load_that_says_why(either):
    start_with_checkpoint(either, chat=either.fake_consumer("chat", working="0"))
    either.chat("chat")
    pid = either.consumer("chat")["pid"]
    park(either, "chat")
    set_checkpoint_fault(either, "restore-fails")
    answer = either.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    message = answer.json()["error"]["message"]
    assert "restore" in message and "OS call failed or operation not supported" in message
    assert not os.path.exists(f"/proc/{pid}"), "a process that failed to restore must be stopped"
    set_checkpoint_fault(either, "")
    wait_until(lambda: either.post("/v1/chat/completions", {"model": "chat"}).status_code == 200, "the next load to succeed")


def test_one_that_dies_of_its_restore_is_a_failed_load_too(either):
    start_with_checkpoint(either, chat=either.fake_consumer("chat", working="0"))
    either.chat("chat")
    park(either, "chat")
    set_checkpoint_fault(either, "restore-kills")
    answer = either.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    set_checkpoint_fault(either, "")
    wait_until(lambda: either.post("/v1/chat/completions", {"model": "chat"}).status_code == 200, "the next load to succeed")


def test_a_lock_that_is_never_got_ends_in_a_stop(either):
    start_with_checkpoint(either, "lock-hangs", chat=either.fake_consumer("chat", working="0", stop_limit="1s"))
    either.chat("chat")
    pid = either.consumer("chat")["pid"]
    assert park(either, "chat") == "cold"
    assert either.gpu_states()[0]["used"] == 0 and not os.path.exists(f"/proc/{pid}")
    set_checkpoint_fault(either, "")
    assert either.chat("chat") == "answer of chat"


def test_a_failed_checkpoint_takes_its_lock_back(either):
    start_with_checkpoint(either, "checkpoint-fails", chat=either.fake_consumer("chat", working="0"))
    either.chat("chat")
    assert park(either, "chat") == "cold"
    assert checkpoint_commands(either) == ["lock", "checkpoint", "unlock"]


def test_the_older_utility_only_toggles(harness):
    start_with_checkpoint(harness, "only-toggle", chat=harness.fake_consumer("chat", working="0"))
    harness.chat("chat")
    assert park(harness, "chat") == "parked" and harness.gpu_states()[0]["used"] == 0
    assert harness.chat("chat") == "answer of chat"


def test_the_driver_parks_where_both_can(harness):
    use_driver(harness)
    start_with_checkpoint(harness, "only-toggle", chat=harness.fake_consumer("chat", working="0"))  # spoils the utility
    harness.chat("chat")
    assert park(harness, "chat") == "parked"
    assert checkpoint_commands(harness) == ["lock", "checkpoint"]


def test_the_driver_says_that_a_lock_was_not_got_in_time(harness):
    use_driver(harness)
    start_with_checkpoint(harness, "lock-times-out", chat=harness.fake_consumer("chat", working="0"))
    harness.chat("chat")
    assert park(harness, "chat") == "cold"
    why = why_parking_failed(harness)
    assert "can't lock process" in why and "device not ready (CUDA code 600)" in why


def test_a_driver_that_does_not_support_it_ends_in_a_stop(harness):
    use_driver(harness)
    start_with_checkpoint(harness, "not-supported", chat=harness.fake_consumer("chat", working="0"))
    harness.chat("chat")
    assert park(harness, "chat") == "cold"
    assert "operation not supported (CUDA code 801)" in why_parking_failed(harness)
    set_checkpoint_fault(harness, "")
    assert harness.chat("chat") == "answer of chat"


def test_a_checkpoint_that_never_returns_holds_up_nobody_else(harness):
    use_driver(harness)
    start_with_checkpoint(harness, "checkpoint-hangs", chat=harness.fake_consumer("chat", "4GiB", working="0", stop_limit="2s"),
                          image=harness.fake_consumer("image", "4GiB", working="0"))
    harness.chat("chat")
    parked = run_in_background(park, harness, "chat")
    wait_until(lambda: checkpoint_commands(harness) == ["lock", "checkpoint"], "the checkpoint to begin")
    assert harness.chat("image") == "answer of image" and not parked.done()
    assert parked.result(20) == "cold" and harness.gpu_states()[0]["used"] == 4 * GiB


def test_the_helper_ends_with_the_daemon(harness):
    use_driver(harness)
    start_with_checkpoint(harness, "lock-hangs", chat=harness.fake_consumer("chat", working="0", stop_limit="1m"))
    harness.chat("chat")
    parking = harness.send_raw("POST", "/v1/consumers/chat/park")
    wait_until(lambda: checkpoint_commands(harness) == ["lock"], "the lock to begin")
    harness.daemon.kill()
    parking.close()
    wait_until(lambda: not [pid for pid in harness.process_pids() if b"\0park\0" in command_line(pid)], "the helper to end")
    set_checkpoint_fault(harness, "")
    harness.start_daemon()


def test_the_daemon_itself_has_no_cuda_library(harness):
    use_driver(harness)
    start_with_checkpoint(harness, chat=harness.fake_consumer("chat", working="0"))
    harness.chat("chat")
    assert park(harness, "chat") == "parked"
    with open(f"/proc/{harness.daemon.pid}/maps", encoding="utf-8") as maps:
        assert "libmgpu-fake-cuda" not in maps.read()


def test_with_neither_driver_nor_utility_the_daemon_does_not_start(harness):
    harness.make_gpu("12GiB")
    harness.write_config({"chat": harness.fake_consumer("chat", park="cuda-checkpoint")},
                         cuda_checkpoint="/nowhere/cuda-checkpoint")
    refused = harness.run_mgpu("serve", "--config", harness.config_file)
    assert refused.returncode != 0
    assert "/nowhere/cuda-checkpoint" in refused.stderr and "/nonexistent/libcuda.so.1" in refused.stderr

"""park: cuda-checkpoint, with a fake utility that moves a process' simulated bytes to host memory and back."""
import os
import signal

from daemon_harness import BIN, GiB, wait_until


def start_with_checkpoint(harness, fault="", **consumers):
    (harness.folder / "gpu.checkpoint-fault").write_text(fault)
    for entry in consumers.values():
        entry["park"] = "cuda-checkpoint"
    return harness.start_with(consumers, cuda_checkpoint=str(BIN / "fake-cuda-checkpoint"))


def set_checkpoint_fault(harness, fault):
    (harness.folder / "gpu.checkpoint-fault").write_text(fault)


def checkpoint_commands(harness):
    """The actions that the daemon ran the utility with: "lock", "checkpoint", ..."""
    log = harness.folder / "gpu.checkpoint-log"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def park(harness, name):
    answer = harness.post(f"/v1/consumers/{name}/park")
    assert answer.status_code == 200, answer.text
    return answer.json()["evicted"][0]["state"]


def test_memory_goes_aside_and_comes_back_with_the_process_alive(harness):
    start_with_checkpoint(harness, chat=harness.fake_consumer("chat", working="0"))
    harness.chat("chat")
    pid = harness.consumer("chat")["pid"]
    assert park(harness, "chat") == "parked"
    device = harness.gpu_states()[0]
    assert device["used"] == 0 and device["checkpointed"][0]["bytes"] == 6 * GiB
    assert harness.status()["devices"][0]["memory"]["measured_bytes"] == 0
    assert harness.chat("chat") == "answer of chat"
    assert harness.consumer("chat")["pid"] == pid and harness.gpu_states()[0]["used"] == 6 * GiB
    assert checkpoint_commands(harness) == ["lock", "checkpoint", "restore", "unlock"]


def test_others_use_the_memory_meanwhile(harness):
    start_with_checkpoint(harness, chat=harness.fake_consumer("chat", "8GiB", working="0"),
                          image=harness.fake_consumer("image", "8GiB", working="0"))
    harness.chat("chat")
    park(harness, "chat")
    assert harness.chat("image") == "answer of image"
    assert harness.chat("chat") == "answer of chat"


def test_of_several_processes_all_are_locked_before_one_is_checkpointed(harness):
    entry = harness.fake_consumer("chat", "6GiB", holds="4GiB", working="0")
    command = entry["runner"]["process"]["command"]
    entry["runner"]["process"]["command"] = ["sh", "-c", f'{BIN}/mgpu-simgpu hold 2GiB & exec "$@"', "sh", *command]
    start_with_checkpoint(harness, chat=entry)
    harness.chat("chat")
    wait_until(lambda: harness.status()["devices"][0]["memory"]["measured_bytes"] == 6 * GiB,
               "the memory of both processes to be measured")
    assert park(harness, "chat") == "parked"
    assert harness.gpu_states()[0]["used"] == 0
    assert harness.chat("chat") == "answer of chat"
    assert checkpoint_commands(harness) == ["lock"] * 2 + ["checkpoint"] * 2 + ["restore"] * 2 + ["unlock"] * 2


def test_one_that_dies_while_parked_is_loaded_anew(harness):
    start_with_checkpoint(harness, chat=harness.fake_consumer("chat", working="0"))
    harness.chat("chat")
    pid = harness.consumer("chat")["pid"]
    park(harness, "chat")
    os.kill(pid, signal.SIGKILL)
    harness.wait_for_state("chat", "cold")
    assert harness.chat("chat") == "answer of chat"
    assert harness.consumer("chat")["pid"] != pid and "restore" not in checkpoint_commands(harness)


def test_a_failed_restore_is_a_failed_load_that_says_why(harness):
    start_with_checkpoint(harness, chat=harness.fake_consumer("chat", working="0"))
    harness.chat("chat")
    pid = harness.consumer("chat")["pid"]
    park(harness, "chat")
    set_checkpoint_fault(harness, "restore-fails")
    answer = harness.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    assert "restore" in answer.json()["error"]["message"] and "not supported" in answer.json()["error"]["message"]
    assert not os.path.exists(f"/proc/{pid}"), "a process that failed to restore must be stopped"
    set_checkpoint_fault(harness, "")
    wait_until(lambda: harness.post("/v1/chat/completions", {"model": "chat"}).status_code == 200, "the next load to succeed")


def test_one_that_dies_of_its_restore_is_a_failed_load_too(harness):
    start_with_checkpoint(harness, chat=harness.fake_consumer("chat", working="0"))
    harness.chat("chat")
    park(harness, "chat")
    set_checkpoint_fault(harness, "restore-kills")
    answer = harness.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    set_checkpoint_fault(harness, "")
    wait_until(lambda: harness.post("/v1/chat/completions", {"model": "chat"}).status_code == 200, "the next load to succeed")


def test_a_lock_that_is_never_got_ends_in_a_stop(harness):
    start_with_checkpoint(harness, "lock-hangs", chat=harness.fake_consumer("chat", working="0", stop_limit="1s"))
    harness.chat("chat")
    pid = harness.consumer("chat")["pid"]
    assert park(harness, "chat") == "cold"
    assert harness.gpu_states()[0]["used"] == 0 and not os.path.exists(f"/proc/{pid}")
    set_checkpoint_fault(harness, "")
    assert harness.chat("chat") == "answer of chat"


def test_a_failed_checkpoint_takes_its_lock_back(harness):
    start_with_checkpoint(harness, "checkpoint-fails", chat=harness.fake_consumer("chat", working="0"))
    harness.chat("chat")
    assert park(harness, "chat") == "cold"
    assert checkpoint_commands(harness) == ["lock", "checkpoint", "unlock"]


def test_the_older_utility_only_toggles(harness):
    start_with_checkpoint(harness, "only-toggle", chat=harness.fake_consumer("chat", working="0"))
    harness.chat("chat")
    assert park(harness, "chat") == "parked" and harness.gpu_states()[0]["used"] == 0
    assert harness.chat("chat") == "answer of chat"


def test_without_the_utility_the_daemon_does_not_start(harness):
    harness.make_gpu("12GiB")
    harness.write_config({"chat": harness.fake_consumer("chat", park="cuda-checkpoint")},
                         cuda_checkpoint="/nowhere/cuda-checkpoint")
    refused = harness.run_mgpu("serve", "--config", harness.config_file)
    assert refused.returncode != 0 and "/nowhere/cuda-checkpoint" in refused.stderr

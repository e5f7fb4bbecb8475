"""park: cuda-checkpoint, against a fake of the utility that moves a process' bytes of the simulated GPU aside and back."""
import os
import signal

from house import BIN, GiB, wait_until


def open_with(house, fault="", **consumers):
    (house.folder / "gpu.checkpoint-fault").write_text(fault)
    for entry in consumers.values():
        entry["park"] = "cuda-checkpoint"
    return house.open(consumers, cuda_checkpoint=str(BIN / "fake-cuda-checkpoint"))


def misbehave(house, fault):
    (house.folder / "gpu.checkpoint-fault").write_text(fault)


def steps(house):
    """What the utility was told to do: "lock", "checkpoint", ..."""
    log = house.folder / "gpu.checkpoint-log"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def park(house, name):
    answer = house.post(f"/v1/consumers/{name}/park")
    assert answer.status_code == 200, answer.text
    return answer.json()["evicted"][0]["state"]


def test_memory_goes_aside_and_comes_back_with_the_process_alive(house):
    open_with(house, chat=house.fake("chat", working="0"))
    house.ask("chat")
    pid = house.consumer("chat")["pid"]
    assert park(house, "chat") == "parked"
    device = house.gpus()[0]
    assert device["used"] == 0 and device["checkpointed"][0]["bytes"] == 6 * GiB
    assert house.status()["devices"][0]["memory"]["measured_bytes"] == 0
    assert house.ask("chat") == "answer of chat"
    assert house.consumer("chat")["pid"] == pid and house.gpus()[0]["used"] == 6 * GiB
    assert steps(house) == ["lock", "checkpoint", "restore", "unlock"]


def test_others_use_the_memory_meanwhile(house):
    open_with(house, chat=house.fake("chat", "8GiB", working="0"), image=house.fake("image", "8GiB", working="0"))
    house.ask("chat")
    park(house, "chat")
    assert house.ask("image") == "answer of image"
    assert house.ask("chat") == "answer of chat"


def test_of_several_processes_all_are_locked_before_one_is_checkpointed(house):
    entry = house.fake("chat", "6GiB", holds="4GiB", working="0")
    command = entry["runner"]["process"]["command"]
    entry["runner"]["process"]["command"] = ["sh", "-c", f'{BIN}/mgpu-simgpu hold 2GiB & exec "$@"', "sh", *command]
    open_with(house, chat=entry)
    house.ask("chat")
    wait_until(lambda: house.status()["devices"][0]["memory"]["measured_bytes"] == 6 * GiB, "both to be seen")
    assert park(house, "chat") == "parked"
    assert house.gpus()[0]["used"] == 0
    assert house.ask("chat") == "answer of chat"
    assert steps(house) == ["lock"] * 2 + ["checkpoint"] * 2 + ["restore"] * 2 + ["unlock"] * 2


def test_one_that_dies_while_parked_is_loaded_anew(house):
    open_with(house, chat=house.fake("chat", working="0"))
    house.ask("chat")
    pid = house.consumer("chat")["pid"]
    park(house, "chat")
    os.kill(pid, signal.SIGKILL)
    house.wait_for_state("chat", "cold")
    assert house.ask("chat") == "answer of chat"
    assert house.consumer("chat")["pid"] != pid and "restore" not in steps(house)


def test_a_failed_restore_is_a_failed_load_that_says_why(house):
    open_with(house, chat=house.fake("chat", working="0"))
    house.ask("chat")
    pid = house.consumer("chat")["pid"]
    park(house, "chat")
    misbehave(house, "restore-fails")
    answer = house.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    assert "restore" in answer.json()["error"]["message"] and "not supported" in answer.json()["error"]["message"]
    assert not os.path.exists(f"/proc/{pid}"), "what may be dead is stopped"
    misbehave(house, "")
    wait_until(lambda: house.post("/v1/chat/completions", {"model": "chat"}).status_code == 200, "the next try")


def test_one_that_dies_of_its_restore_is_a_failed_load_too(house):
    open_with(house, chat=house.fake("chat", working="0"))
    house.ask("chat")
    park(house, "chat")
    misbehave(house, "restore-kills")
    answer = house.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    misbehave(house, "")
    wait_until(lambda: house.post("/v1/chat/completions", {"model": "chat"}).status_code == 200, "the next try")


def test_a_lock_that_is_never_got_ends_in_a_stop(house):
    open_with(house, "lock-hangs", chat=house.fake("chat", working="0", stop_limit="1s"))
    house.ask("chat")
    pid = house.consumer("chat")["pid"]
    assert park(house, "chat") == "cold"
    assert house.gpus()[0]["used"] == 0 and not os.path.exists(f"/proc/{pid}")
    misbehave(house, "")
    assert house.ask("chat") == "answer of chat"


def test_a_failed_checkpoint_takes_its_lock_back(house):
    open_with(house, "checkpoint-fails", chat=house.fake("chat", working="0"))
    house.ask("chat")
    assert park(house, "chat") == "cold"
    assert steps(house) == ["lock", "checkpoint", "unlock"]


def test_the_older_utility_only_toggles(house):
    open_with(house, "only-toggle", chat=house.fake("chat", working="0"))
    house.ask("chat")
    assert park(house, "chat") == "parked" and house.gpus()[0]["used"] == 0
    assert house.ask("chat") == "answer of chat"


def test_without_the_utility_the_daemon_does_not_start(house):
    house.make_gpu("12GiB")
    house.write_config({"chat": house.fake("chat", park="cuda-checkpoint")}, cuda_checkpoint="/nowhere/cuda-checkpoint")
    refused = house.mgpu("serve", "--config", house.config_file)
    assert refused.returncode != 0 and "/nowhere/cuda-checkpoint" in refused.stderr

"""The pid in a lease request is accepted only if that process belongs to the caller."""
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from daemon_harness import BIN, GiB, wait_until

UNSHARE = [shutil.which("unshare") or "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
HOLD = f"{BIN}/mgpu-simgpu hold 1GiB -- sleep 300"
can_unshare = shutil.which("unshare") and subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0
in_container = pytest.mark.skipif(not can_unshare, reason="no permission to create a pid namespace")


def device_memory(harness):
    return harness.status()["devices"][0]["memory"]


def test_the_first_process_is_no_ones(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    answer = harness.post("/v1/leases", {"bytes": "1GiB", "pid": 1})
    assert answer.status_code == 400 and "pid" in answer.json()["error"]["message"]


def test_a_strangers_process_does_not_become_the_leases(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    # A process of another session, whose parent has ended.
    script = f"setsid {HOLD} >/dev/null 2>&1 & echo $!"
    foreign_pid = int(subprocess.run(["sh", "-c", script], env=harness.env, capture_output=True, text=True, check=True).stdout)
    wait_until(lambda: device_memory(harness)["foreign_bytes"] == GiB, "the foreign memory to be measured")

    lease = harness.post("/v1/leases", {"bytes": "2GiB", "pid": foreign_pid}).json()

    assert lease["pid"] is None
    assert device_memory(harness)["foreign_bytes"] == GiB
    harness.http_client.delete(f"/v1/leases/{lease['id']}")
    assert harness.post("/v1/leases", {"bytes": "2GiB", "pid": os.getpid()}).json()["pid"] == os.getpid()
    os.killpg(foreign_pid, signal.SIGKILL)


@in_container
def test_mgpu_run_as_the_first_process_of_a_container_names_no_pid(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    foreign = harness.start_program("hold", "6GiB", program="mgpu-simgpu")
    wait_until(lambda: device_memory(harness)["foreign_bytes"] == 6 * GiB, "the foreign memory to be measured")
    words = [BIN / "mgpu", "run", "--bytes", "4GiB", "--", "sh", "-c", "echo started; sleep 300"]
    run = harness.start_program(*UNSHARE[1:], *words, program=pathlib.Path(UNSHARE[0]))

    run.wait_for_output("started")

    assert device_memory(harness)["foreign_bytes"] == 6 * GiB, "memory of other processes must not be attributed to the lease"
    assert harness.get("/v1/leases")["leases"][0]["pid"] is None
    run.kill(), foreign.kill()


@in_container
def test_the_pid_inside_a_container_is_translated(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    script = f"'{BIN}/mgpu' run --bytes 4GiB -- sh -c 'echo started; sleep 300' & echo inside $!; wait"
    run = harness.start_program(*UNSHARE[1:], "sh", "-c", script, program=pathlib.Path(UNSHARE[0]))
    inside = run.wait_for_output(r"inside (\d+)")[1]
    run.wait_for_output("started")

    [lease] = harness.get("/v1/leases")["leases"]

    namespace_pids = pathlib.Path(f"/proc/{lease['pid']}/status").read_text().split("NSpid:")[1].split("\n")[0].split()
    assert namespace_pids == [str(lease["pid"]), inside]
    run.kill()

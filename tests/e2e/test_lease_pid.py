"""Whose memory a lease's memory is: the pid that its caller names is believed only if it is the caller's own."""
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from house import BIN, GiB, wait_until

UNSHARE = [shutil.which("unshare") or "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
HOLD = f"{BIN}/mgpu-simgpu hold 1GiB -- sleep 300"
can_unshare = shutil.which("unshare") and subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0
in_container = pytest.mark.skipif(not can_unshare, reason="no pid namespaces here")


def memory(house):
    return house.status()["devices"][0]["memory"]


def test_the_first_process_is_no_ones(house):
    house.open({"train": {"footprint": "4GiB"}})
    answer = house.post("/v1/leases", {"bytes": "1GiB", "pid": 1})
    assert answer.status_code == 400 and "pid" in answer.json()["error"]["message"]


def test_a_strangers_process_does_not_become_the_leases(house):
    house.open({"train": {"footprint": "4GiB"}})
    # Its parent is gone, and its session is its own.
    script = f"setsid {HOLD} >/dev/null 2>&1 & echo $!"
    stranger = int(subprocess.run(["sh", "-c", script], env=house.env, capture_output=True, text=True, check=True).stdout)
    wait_until(lambda: memory(house)["foreign_bytes"] == GiB, "the driver to show it")

    lease = house.post("/v1/leases", {"bytes": "2GiB", "pid": stranger}).json()

    assert lease["pid"] is None
    assert memory(house)["foreign_bytes"] == GiB
    house.http.delete(f"/v1/leases/{lease['id']}")
    assert house.post("/v1/leases", {"bytes": "2GiB", "pid": os.getpid()}).json()["pid"] == os.getpid()
    os.killpg(stranger, signal.SIGKILL)


@in_container
def test_mgpu_run_as_the_first_process_of_a_container_names_no_pid(house):
    house.open({"train": {"footprint": "4GiB"}})
    foreign = house.start("hold", "6GiB", program="mgpu-simgpu")
    wait_until(lambda: memory(house)["foreign_bytes"] == 6 * GiB, "the driver to show it")
    words = [BIN / "mgpu", "run", "--bytes", "4GiB", "--", "sh", "-c", "echo started; sleep 300"]
    run = house.start(*UNSHARE[1:], *words, program=pathlib.Path(UNSHARE[0]))

    run.wait_for("started")

    assert memory(house)["foreign_bytes"] == 6 * GiB, "what others hold is not the lease's"
    assert house.get("/v1/leases")["leases"][0]["pid"] is None
    run.kill(), foreign.kill()


@in_container
def test_the_pid_inside_a_container_is_translated(house):
    house.open({"train": {"footprint": "4GiB"}})
    script = f"'{BIN}/mgpu' run --bytes 4GiB -- sh -c 'echo started; sleep 300' & echo inside $!; wait"
    run = house.start(*UNSHARE[1:], "sh", "-c", script, program=pathlib.Path(UNSHARE[0]))
    inside = run.wait_for(r"inside (\d+)")[1]
    run.wait_for("started")

    [lease] = house.get("/v1/leases")["leases"]

    names = pathlib.Path(f"/proc/{lease['pid']}/status").read_text().split("NSpid:")[1].split("\n")[0].split()
    assert names == [str(lease["pid"]), inside]
    run.kill()

"""./dev gpu without a GPU: the check of a real one, against the simulated GPU and a fake of the CUDA driver's library."""
import json
import pathlib
import subprocess
import sys

import pytest

from daemon_harness import BIN, BUILD, TREE

sys.path.insert(0, str(TREE / "tools/portable"))
import link  # noqa: E402  (tools/portable/link.py)


@pytest.fixture
def gpu(harness):
    """The harness with a simulated GPU and the fake driver."""
    harness.make_gpu("20GiB")
    harness.env["MGPU_CUDA_LIBRARY"] = str(BIN / "libmgpu-fake-cuda.so")
    return harness


CHECK = [BIN / "mgpu-gpu-check", "all"]


def run_check(gpu, command, *options):
    """Runs all steps, or those of --only; returns (the finished process, the folder of the record)."""
    out = gpu.folder / "record"
    ran = subprocess.run([*command, "--out", out, "--quick", *options], env={**gpu.env, "TMPDIR": str(gpu.folder)}, text=True,
                         capture_output=True, timeout=100, stdin=subprocess.DEVNULL)
    return ran, out


def read_steps(out):
    return json.loads((out / "gpu.json").read_text())["steps"]


def figures(step):
    return {row["what"]: row["value"] for row in step["rows"]}


def test_every_step_finds_what_the_simulation_does(gpu):
    ran, out = run_check(gpu, CHECK)
    steps = {step["step"]: step for step in read_steps(out)}
    outcomes = {name: (step["outcome"], step["why"]) for name, step in steps.items()}
    assert ran.returncode == 0, outcomes
    assert {outcome for outcome, _ in outcomes.values()} <= {"ok", "skipped"}, outcomes

    family = figures(steps["NVML's numbers for a process, its child and its grandchild"])
    assert family["a context alone: row of its process"] == 300  # fake_cuda.cc
    assert family["grandchild, holds 1024 MiB: its row"] == 1324 and family["of these three NVML lists"] == "3 of 3, among 3 rows"
    assert figures(steps["From cuMemFree until NVML shows it"])["the device's used memory falls by 1 GiB: tries"] == 5
    load = figures(steps["Five consumers of the real daemon"])
    assert load["refused allocations"] == 0 and load["requests that failed"] == 0 and load["events evicted"] > 0
    parking = figures(steps["Parking 10 GiB"])
    assert parking["contents afterwards"] == "intact" and parking["state in between"] == "checkpointed"
    assert figures(steps["Parking by the daemon"])["state afterwards"] == "parked"
    assert not [row for step in steps.values() for row in step["rows"] if row["value"] is None]
    page = (out / "gpu.md").read_text()
    assert "## Foreign memory: ok" in page and "| card | Simulated GPU |" in page


def test_device_events(gpu):
    gpu.env["MGPU_NVML_LIBRARY"] = str(BIN / "libmgpu-fake-nvml.so")
    for xid, expected in [("", "none came, as expected"), ("79", "Xid critical error, data 79")]:
        gpu.env.update({"MGPU_FAKE_XID": xid} if xid else {})
        ran, out = run_check(gpu, CHECK, "--only", "events")
        [step] = read_steps(out)
        assert ran.returncode == 0 and step["outcome"] == "ok", step
        assert figures(step)["subscription to single-bit ECC error, double-bit ECC error, Xid critical error"] == "accepted"
        assert figures(step)["outcome of the wait"] == expected


def test_a_step_that_fails_does_not_stop_the_others(gpu):
    (gpu.folder / "gpu.checkpoint-fault").write_text("checkpoint-fails")
    ran, out = run_check(gpu, CHECK, "--only", "park-1,park-daemon,park-10")
    steps = read_steps(out)
    assert ran.returncode == 1 and [step["outcome"] for step in steps] == ["failed"] * 3
    assert "OS call failed" in steps[0]["why"] and "not parked" in steps[2]["why"]


def test_without_a_driver_every_step_says_so(gpu):
    gpu.env["MGPU_CUDA_LIBRARY"] = "/nonexistent/libcuda.so.1"
    ran, out = run_check(gpu, CHECK, "--only", "card,processes,free,park-1")
    steps = read_steps(out)
    assert ran.returncode == 1 and [step["outcome"] for step in steps] == ["failed"] * 3 + ["skipped"]
    assert all("/nonexistent/libcuda.so.1" in step["why"] for step in steps)


def test_a_step_that_hangs_is_ended_at_its_limit(gpu):
    (gpu.folder / "gpu.checkpoint-fault").write_text("lock-hangs")
    ran, out = run_check(gpu, CHECK, "--only", "park-1,card", "--limit", "9")
    steps = read_steps(out)
    assert ran.returncode == 1 and [step["outcome"] for step in steps] == ["ok", "failed"]
    assert "did not end within" in steps[1]["why"]
    assert not [pid for pid in gpu.process_pids() if b"hold" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.skipif(BUILD != TREE / "build/release", reason="the tarball is made of the release build")
def test_the_tarball_needs_only_an_old_c_library(gpu):
    if subprocess.run(["bash", "tools/portable/sysroot.sh", ".cache/portable-sysroot"], cwd=TREE, timeout=300).returncode != 0:
        pytest.skip("the packages of Debian 11 to link against can't be had")
    subprocess.run(["bash", "tools/dev/gpu.sh", "--pack"], cwd=TREE, check=True, timeout=600)
    tarball = TREE / "build/gpu/gpu-check.tar.gz"
    assert tarball.stat().st_size < 40 << 20
    subprocess.run(["tar", "-xzf", tarball, "-C", gpu.folder], check=True)
    unpacked = gpu.folder / "gpu-check"
    carried = {path.name for path in (unpacked / "lib").iterdir()}
    for file in [*(unpacked / "bin").iterdir(), *(unpacked / "lib").iterdir()]:
        assert link.needed_glibc(file) <= (2, 31), file
        dump = subprocess.run(["objdump", "-p", file], check=True, capture_output=True, text=True).stdout
        needed = {line.split()[1] for line in dump.splitlines() if line.strip().startswith("NEEDED")}
        assert needed <= carried | {*link.C_LIBRARIES, "ld-linux-x86-64.so.2"}, (file, needed)

    ran, out = run_check(gpu, [unpacked / "run"], "--only", "card,daemon")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert {path.name for path in out.iterdir()} == {"gpu.md", "gpu.json", "logs.tar.gz"}

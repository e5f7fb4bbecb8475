"""AMD and Intel devices, read from sysfs trees written by hand after the kernel documents (src/gpu/testdata)."""
import pathlib
import re

from daemon_harness import BIN, TREE, wait_until


def unpack_sysfs_tree(harness, name, **pids):
    """Writes a described sysfs tree as files; the processes in it get the pids of running ones."""
    text = (TREE / "src/gpu/testdata" / f"{name}.tree").read_text()
    for written, living in pids.items():
        text = re.sub(rf"proc/{written[1:]}/", f"proc/{living}/", text)
    root, file, is_hex = harness.folder / "machine", None, False
    for line in text.splitlines():
        marker, *words = line.split() or [""]
        if marker in ("==", "=x", "->"):
            path = root / words[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            if marker == "->":
                path.symlink_to(words[1])
            file, is_hex = (path if marker != "->" else None), marker == "=x"
            if file:
                file.write_bytes(b"")
        elif file and line:
            with open(file, "ab") as out:
                out.write(bytes.fromhex(line) if is_hex else line.encode() + b"\n")
    harness.env["MGPU_DRM_ROOT"] = str(root)
    harness.env["MGPU_NVML_LIBRARY"] = "libno-such-driver.so.1"
    return root


def test_an_amd_device_is_read_and_its_foreign_processes_are_named(harness):
    foreign = harness.start_program("60", program=pathlib.Path("/bin/sleep"))
    unpack_sysfs_tree(harness, "amdgpu-discrete", _5300=foreign.pid)
    harness.write_config({"train": {"footprint": "4GiB"}})
    harness.start_daemon()
    assert "AMD GPU 1002:744C 24.0 GiB" in harness.daemon.output or "gpu0" in harness.daemon.output
    memory = wait_until(lambda: (device := harness.status()["devices"][0])["memory"]["total_bytes"] and device,
                        "a reading")["memory"]
    assert memory["total_bytes"] == 25753026560 and memory["foreign_bytes"] == 13 << 30
    foreign_processes = {process["pid"]: process for process in memory["foreign_processes"]}
    assert foreign_processes[foreign.pid]["command"] == "/bin/sleep 60" and foreign_processes[foreign.pid]["bytes"] == 4 << 30
    device = harness.status()["devices"][0]
    assert (device["utilisation_percent"], device["temperature_c"], device["power_w"]) == (37, 54, 121.0)
    assert device["uuid"] == "GPU-8e5ad5ac41da9b6a" and not device["simulated"]


def test_a_lease_has_what_its_process_holds_there(harness):
    holder = harness.start_program("60", program=pathlib.Path("/bin/sleep"))
    unpack_sysfs_tree(harness, "amdgpu-discrete", _5300=holder.pid)
    harness.write_config({"train": {"footprint": "4GiB"}}, gpu={"provider": "drm", "sample_busy": "20ms", "sample_idle": "50ms"})
    harness.start_daemon()
    assert harness.post("/v1/leases", {"consumer": "train", "pid": holder.pid}).status_code < 300
    wait_until(lambda: harness.status()["devices"][0]["memory"]["measured_bytes"] == 4 << 30,
               "the memory to be attributed to the lease")
    assert harness.status()["devices"][0]["memory"]["foreign_bytes"] == 9 << 30


def test_a_simulated_device_stands_alone(harness):
    unpack_sysfs_tree(harness, "amdgpu-discrete")
    harness.env["MGPU_NVML_LIBRARY"] = str(BIN / "libmgpu-simgpu.so")
    harness.start_with({"chat": harness.fake_consumer("chat")})
    assert [device["simulated"] for device in harness.status()["devices"]] == [True]


def test_without_any_device_it_says_all_that_it_looked_for(harness):
    unpack_sysfs_tree(harness, "no-device")
    harness.write_config({"train": {"footprint": "4GiB"}})
    refused = harness.start_program("serve", "--config", harness.config_file)
    assert refused.exit_code() == 2
    assert "libno-such-driver.so.1" in refused.output and "card0 (ast), card1 (nvidia)" in refused.output
    assert "--simulated" in refused.output

"""AMD and Intel devices, read from files: here written by hand after the documents of the kernel (src/gpu/testdata)."""
import pathlib
import re

from house import BIN, TREE, wait_until


def unpack(house, name, **pids):
    """The tree as a folder; its processes get the pids of living ones."""
    text = (TREE / "src/gpu/testdata" / f"{name}.tree").read_text()
    for written, living in pids.items():
        text = re.sub(rf"proc/{written[1:]}/", f"proc/{living}/", text)
    root, file, digits = house.folder / "machine", None, False
    for line in text.splitlines():
        mark, *words = line.split() or [""]
        if mark in ("==", "=x", "->"):
            path = root / words[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            if mark == "->":
                path.symlink_to(words[1])
            file, digits = (path if mark != "->" else None), mark == "=x"
            if file:
                file.write_bytes(b"")
        elif file and line:
            with open(file, "ab") as out:
                out.write(bytes.fromhex(line) if digits else line.encode() + b"\n")
    house.env["MGPU_DRM_ROOT"] = str(root)
    house.env["MGPU_NVML_LIBRARY"] = "libno-such-driver.so.1"
    return root


def test_an_amd_device_is_read_and_its_foreign_processes_are_named(house):
    stranger = house.start("60", program=pathlib.Path("/bin/sleep"))
    unpack(house, "amdgpu-discrete", _5300=stranger.pid)
    house.write_config({"train": {"footprint": "4GiB"}})
    house.start_daemon()
    assert "AMD GPU 1002:744C 24.0 GiB" in house.daemon.text or "gpu0" in house.daemon.text
    memory = wait_until(lambda: (seen := house.status()["devices"][0])["memory"]["total_bytes"] and seen, "a reading")["memory"]
    assert memory["total_bytes"] == 25753026560 and memory["foreign_bytes"] == 13 << 30
    named = {process["pid"]: process for process in memory["foreign_processes"]}
    assert named[stranger.pid]["command"] == "/bin/sleep 60" and named[stranger.pid]["bytes"] == 4 << 30
    device = house.status()["devices"][0]
    assert (device["utilisation_percent"], device["temperature_c"], device["power_w"]) == (37, 54, 121.0)
    assert device["uuid"] == "GPU-8e5ad5ac41da9b6a" and not device["simulated"]


def test_a_lease_has_what_its_process_holds_there(house):
    holder = house.start("60", program=pathlib.Path("/bin/sleep"))
    unpack(house, "amdgpu-discrete", _5300=holder.pid)
    house.write_config({"train": {"footprint": "4GiB"}}, gpu={"provider": "drm", "sample_busy": "20ms", "sample_idle": "50ms"})
    house.start_daemon()
    assert house.post("/v1/leases", {"consumer": "train", "pid": holder.pid}).status_code < 300
    wait_until(lambda: house.status()["devices"][0]["memory"]["measured_bytes"] == 4 << 30, "its bytes to be the lease's")
    assert house.status()["devices"][0]["memory"]["foreign_bytes"] == 9 << 30


def test_a_simulated_device_stands_alone(house):
    unpack(house, "amdgpu-discrete")
    house.env["MGPU_NVML_LIBRARY"] = str(BIN / "libmgpu-simgpu.so")
    house.open({"chat": house.fake("chat")})
    assert [device["simulated"] for device in house.status()["devices"]] == [True]


def test_without_any_device_it_says_all_that_it_looked_for(house):
    unpack(house, "no-device")
    house.write_config({"train": {"footprint": "4GiB"}})
    refused = house.start("serve", "--config", house.config_file)
    assert refused.exit_code() == 2
    assert "libno-such-driver.so.1" in refused.text and "card0 (ast), card1 (nvidia)" in refused.text
    assert "--simulated" in refused.text

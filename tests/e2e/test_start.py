"""What can be in the way at the start: one clear line, exit 2, nothing started."""
from house import wait_until


def test_the_port_is_taken(house):
    house.open({"chat": house.fake("chat")})
    port = house.http.base_url.port
    second = house.mgpu("serve", "--config", house.config_file, "--listen", f"127.0.0.1:{port}")
    assert second.returncode == 2 and str(port) in second.stderr and len(second.stderr.splitlines()) == 1
    assert house.ask("chat") == "answer of chat"


def test_no_gpu_library_says_what_was_looked_for_and_how_to_try_without(house):
    house.write_config({"chat": house.fake("chat")})
    house.env["MGPU_NVML_LIBRARY"] = str(house.folder / "libnothing.so")
    refused = house.mgpu("serve", "--config", house.config_file)
    assert refused.returncode == 2
    assert "libnothing.so" in refused.stderr and "--simulated 24GiB" in refused.stderr


def test_a_device_that_is_not_there(house):
    house.make_gpu("12GiB")
    house.write_config({"chat": house.fake("chat")}, devices=[{"id": "second", "index": 1}])
    refused = house.mgpu("serve", "--config", house.config_file)
    assert refused.returncode == 2 and "second" in refused.stderr


def test_simulated_only_if_told_so_and_visibly(house):
    del house.env["MGPU_NVML_LIBRARY"], house.env["MGPU_SIMGPU"]
    house.write_config({"chat": house.fake("chat")})
    house.start_daemon(simulated="8GiB")
    assert "simulated" in house.daemon.text
    [device] = house.status()["devices"]
    assert device["simulated"] is True and device["memory"]["total_bytes"] == 8 << 30
    assert house.ask("chat") == "answer of chat"
    wait_until(lambda: house.status()["devices"][0]["memory"]["measured_bytes"] == 6 << 30, "the reading to show it")

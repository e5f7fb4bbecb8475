"""Errors at the start: one clear line, exit code 2, nothing started."""
from daemon_harness import wait_until


def test_the_port_is_taken(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    port = harness.http_client.base_url.port
    second = harness.run_mgpu("serve", "--config", harness.config_file, "--listen", f"127.0.0.1:{port}")
    assert second.returncode == 2 and str(port) in second.stderr and len(second.stderr.splitlines()) == 1
    assert harness.chat("chat") == "answer of chat"


def test_no_gpu_library_says_what_was_looked_for_and_how_to_try_without(harness):
    harness.write_config({"chat": harness.fake_consumer("chat")})
    harness.env["MGPU_NVML_LIBRARY"] = str(harness.folder / "libnothing.so")
    refused = harness.run_mgpu("serve", "--config", harness.config_file)
    assert refused.returncode == 2
    assert "libnothing.so" in refused.stderr and "--simulated 24GiB" in refused.stderr


def test_a_device_that_is_not_there(harness):
    harness.make_gpu("12GiB")
    harness.write_config({"chat": harness.fake_consumer("chat")}, devices=[{"id": "second", "index": 1}])
    refused = harness.run_mgpu("serve", "--config", harness.config_file)
    assert refused.returncode == 2 and "second" in refused.stderr


def test_simulated_only_if_told_so_and_visibly(harness):
    del harness.env["MGPU_NVML_LIBRARY"], harness.env["MGPU_SIMGPU"]
    harness.write_config({"chat": harness.fake_consumer("chat")})
    harness.start_daemon(simulated="8GiB")
    assert "simulated" in harness.daemon.output
    [device] = harness.status()["devices"]
    assert device["simulated"] is True and device["memory"]["total_bytes"] == 8 << 30
    assert harness.chat("chat") == "answer of chat"
    wait_until(lambda: harness.status()["devices"][0]["memory"]["measured_bytes"] == 6 << 30, "the memory to be measured")

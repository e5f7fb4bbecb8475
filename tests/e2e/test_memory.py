"""`mgpu memory`: which owner holds how much; the parts add up to the driver's total."""
import json

from daemon_harness import GiB, MiB, wait_until


def devices(harness):
    result = harness.run_mgpu("memory", "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["devices"]


def memory_parts(device):
    return {part["who"]: part for part in device["parts"]}


def test_the_parts_add_up_to_the_drivers_total_whoever_holds_it(harness):
    harness.simgpu("create", "--device", "16GiB", "--reserved", "300MiB")
    harness.write_config({"chat": harness.fake_consumer("chat", "6GiB", holds="5GiB"),
                          "voice": harness.fake_consumer("voice", "8GiB")})
    harness.start_daemon()
    harness.start_program("hold", "1GiB", program="mgpu-simgpu")
    lease = harness.start_program("run", "--bytes", "2GiB", "--", "sleep", "60")
    wait_until(lambda: "bare leases" in memory_parts(devices(harness)[0]), "the lease")
    held = devices(harness)[0]
    assert memory_parts(held)["bare leases"]["bytes"] == 2 * GiB and memory_parts(held)["bare leases"]["measured_bytes"] == 0
    assert sum(part["bytes"] for part in held["parts"]) == held["total_bytes"]
    lease.signal(15)
    lease.exit_code()
    assert harness.chat("chat") == "answer of chat"
    wait_until(lambda: memory_parts(devices(harness)[0]).get("chat", {}).get("measured_bytes", 0) == 5 * GiB,
               "chat's memory to be measured")
    wait_until(lambda: memory_parts(devices(harness)[0])["foreign"]["bytes"] == GiB, "the foreign memory to be measured")
    harness.wait_until_quiet()

    device, driver = devices(harness)[0], harness.gpu_states()[0]
    assert device["total_bytes"] == driver["total"] == sum(part["bytes"] for part in device["parts"])
    shares = memory_parts(device)
    assert shares["driver"]["bytes"] == driver["reserved"] == 300 * MiB
    assert driver["used"] == shares["chat"]["measured_bytes"] + shares["foreign"]["measured_bytes"]
    assert shares["chat"]["bytes"] == shares["chat"]["expected_bytes"] == 6 * GiB
    assert shares["reserve"]["bytes"] == 512 * MiB


def test_the_sum_is_right_at_every_moment_of_a_change(harness):
    harness.start_with({name: harness.fake_consumer(name, "7GiB", load_ms=100) for name in ("chat", "voice")})
    requests = [harness.send_raw_chat(name) for name in ("chat", "voice", "chat")]
    seen = []
    while harness.status()["total_jobs"] < 3:
        memory = harness.status()["devices"][0]["memory"]
        assert memory["total_bytes"] == (memory["committed_bytes"] + memory["foreign_bytes"] + memory["reserve_bytes"] +
                                         memory["headroom_bytes"])
        assert memory["total_bytes"] == memory["measured_bytes"] + memory["foreign_bytes"] + memory["free_bytes"]
        assert memory["committed_bytes"] == sum(owner["committed_bytes"] for owner in memory["by_consumer"])
        seen.append(len(memory["by_consumer"]))
    assert all(one.status == 200 for one in requests) and 1 in seen


def test_people_get_a_bar(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "6GiB")})
    harness.chat("chat")
    wait_until(lambda: "[aaaa" in harness.run_mgpu("memory").stdout, "chat in the bar")
    result = harness.run_mgpu("memory").stdout
    assert "gpu0" in result and "12.0 GiB" in result and "a  chat" in result

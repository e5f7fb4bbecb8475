"""`mgpu memory`: who holds what, in numbers that add up to the driver's own."""
import json

from house import GiB, MiB, wait_until


def devices(house):
    said = house.mgpu("memory", "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)["devices"]


def parts(device):
    return {part["who"]: part for part in device["parts"]}


def test_the_parts_add_up_to_the_drivers_total_whoever_holds_it(house):
    house.simgpu("create", "--device", "16GiB", "--reserved", "300MiB")
    house.write_config({"chat": house.fake("chat", "6GiB", holds="5GiB"), "voice": house.fake("voice", "8GiB")})
    house.start_daemon()
    house.start("hold", "1GiB", program="mgpu-simgpu")
    lease = house.start("run", "--bytes", "2GiB", "--", "sleep", "60")
    wait_until(lambda: "bare leases" in parts(devices(house)[0]), "the lease")
    held = devices(house)[0]
    assert parts(held)["bare leases"]["bytes"] == 2 * GiB and parts(held)["bare leases"]["measured_bytes"] == 0
    assert sum(part["bytes"] for part in held["parts"]) == held["total_bytes"]
    lease.signal(15)
    lease.exit_code()
    assert house.ask("chat") == "answer of chat"
    wait_until(lambda: parts(devices(house)[0]).get("chat", {}).get("measured_bytes", 0) == 5 * GiB, "chat to be there")
    wait_until(lambda: parts(devices(house)[0])["foreign"]["bytes"] == GiB, "the stranger")
    house.wait_until_quiet()

    device, told = devices(house)[0], house.gpus()[0]
    assert device["total_bytes"] == told["total"] == sum(part["bytes"] for part in device["parts"])
    shares = parts(device)
    assert shares["driver"]["bytes"] == told["reserved"] == 300 * MiB
    assert told["used"] == shares["chat"]["measured_bytes"] + shares["foreign"]["measured_bytes"]
    assert shares["chat"]["bytes"] == shares["chat"]["expected_bytes"] == 6 * GiB
    assert shares["reserve"]["bytes"] == 512 * MiB


def test_the_sum_is_right_at_every_moment_of_a_change(house):
    house.open({name: house.fake(name, "7GiB", load_ms=100) for name in ("chat", "voice")})
    asked = [house.raw_chat(name) for name in ("chat", "voice", "chat")]
    seen = []
    while house.status()["total_jobs"] < 3:
        memory = house.status()["devices"][0]["memory"]
        assert memory["total_bytes"] == (memory["committed_bytes"] + memory["foreign_bytes"] + memory["reserve_bytes"] +
                                         memory["headroom_bytes"])
        assert memory["total_bytes"] == memory["measured_bytes"] + memory["foreign_bytes"] + memory["free_bytes"]
        assert memory["committed_bytes"] == sum(owner["committed_bytes"] for owner in memory["by_consumer"])
        seen.append(len(memory["by_consumer"]))
    assert all(one.status == 200 for one in asked) and 1 in seen


def test_people_get_a_bar(house):
    house.open({"chat": house.fake("chat", "6GiB")})
    house.ask("chat")
    wait_until(lambda: "[aaaa" in house.mgpu("memory").stdout, "the bar of chat")
    said = house.mgpu("memory").stdout
    assert "gpu0" in said and "12.0 GiB" in said and "a  chat" in said

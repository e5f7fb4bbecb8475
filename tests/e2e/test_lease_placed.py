"""A lease-only consumer with several devices: the answer names the device that was chosen."""
from daemon_harness import GiB, wait_until


def start_with_full_first_device(harness):
    harness.start_with({"train": {"footprint": "1GiB", "devices": ["first", "second"]}}, gpu=["12GiB", "12GiB"],
                       devices=[{"id": "first"}, {"id": "second"}])
    harness.simgpu("fault", "--device", "0", "--foreign", "8GiB")
    wait_until(lambda: harness.status()["devices"][0]["memory"]["foreign_bytes"] >= 8 * GiB, "the foreign memory to be measured")


def lease(harness, **more):
    return harness.post("/v1/leases", {"consumer": "train", "wait_limit": "10s", **more}).json()


def test_the_device_told_is_the_one_with_room_for_its_bytes(harness):
    start_with_full_first_device(harness)
    roomy = lease(harness, bytes="10GiB")
    assert roomy["device"] == "second"
    assert harness.tickets(stage="running")[0]["device"] == "second"


def test_who_names_a_device_gets_it_or_is_told_where_the_consumer_is(harness):
    start_with_full_first_device(harness)
    named = lease(harness, device="second")
    assert named["device"] == "second"
    elsewhere = harness.post("/v1/leases", {"consumer": "train", "device": "first"})
    assert elsewhere.status_code == 409 and "second" in elsewhere.json()["error"]["message"]

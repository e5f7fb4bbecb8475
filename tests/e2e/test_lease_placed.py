"""A consumer that only takes leases may be placed on several devices: its holder is told the one that was chosen."""
from house import GiB, wait_until


def open_with_a_full_first_device(house):
    house.open({"train": {"footprint": "1GiB", "devices": ["first", "second"]}}, gpu=["12GiB", "12GiB"],
               devices=[{"id": "first"}, {"id": "second"}])
    house.simgpu("fault", "--device", "0", "--foreign", "8GiB")
    wait_until(lambda: house.status()["devices"][0]["memory"]["foreign_bytes"] >= 8 * GiB, "the reading that shows it")


def lease(house, **more):
    return house.post("/v1/leases", {"consumer": "train", "wait_limit": "10s", **more}).json()


def test_the_device_told_is_the_one_with_room_for_its_bytes(house):
    open_with_a_full_first_device(house)
    roomy = lease(house, bytes="10GiB")
    assert roomy["device"] == "second"
    assert house.line(stage="running")[0]["device"] == "second"


def test_who_names_a_device_gets_it_or_is_told_where_the_consumer_is(house):
    open_with_a_full_first_device(house)
    named = lease(house, device="second")
    assert named["device"] == "second"
    elsewhere = house.post("/v1/leases", {"consumer": "train", "device": "first"})
    assert elsewhere.status_code == 409 and "second" in elsewhere.json()["error"]["message"]

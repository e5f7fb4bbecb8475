"""A consumer that is split over two devices: a turn and room on both, or it waits with nothing."""
import pathlib

from house import GiB, wait_until


def large(house, footprint="8GiB"):
    """Half of it on each device."""
    return house.fake("large", footprint, working="1GiB", flags=["--device", "0", "--device", "1"],
                      devices=["first", "second"], split=[1, 1])


TWO = {"gpu": ["8GiB", "8GiB"], "devices": [{"id": "first", "index": 0}, {"id": "second", "index": 1}]}


def measured(house):
    """Who holds what on each device, as of its last reading."""
    return [(entry["consumer"], entry["measured_bytes"]) for device in house.status()["devices"]
            for entry in device["memory"]["by_consumer"]]


def test_it_makes_room_on_both_devices_and_each_shows_its_part(house):
    house.open({"large": large(house), "here": house.fake("here", "5GiB", device="first"),
                "there": house.fake("there", "5GiB", device="second", flags=["--device", "1"])}, **TWO)
    assert house.ask("here") == "answer of here" and house.ask("there") == "answer of there"
    assert house.ask("large") == "answer of large"
    assert house.consumer("large")["devices"] == ["first", "second"]
    assert [house.consumer(name)["state"] for name in ("here", "there")] == ["cold", "cold"]
    wait_until(lambda: measured(house) == [("large", 4 * GiB)] * 2, "the next reading of both devices")
    assert [gpu["used"] for gpu in house.gpus()] == [4 * GiB, 4 * GiB]
    assert "first+second" in house.mgpu("status").stdout
    environ = pathlib.Path(f"/proc/{house.consumer('large')['pid']}/environ").read_bytes().decode()
    assert "CUDA_VISIBLE_DEVICES=" + ",".join(gpu["uuid"] for gpu in house.gpus()) in environ.split("\0")
    assert house.ask("there") == "answer of there", "for whom the large one leaves both devices"
    house.wait_until_quiet()
    assert [gpu["used"] for gpu in house.gpus()] == [0, 5 * GiB]


def test_it_holds_neither_turn_while_it_waits_for_the_other(house):
    house.open({"large": large(house, footprint="12GiB"), "here": house.fake("here", "5GiB", device="first"),
                "there": house.fake("there", "5GiB", run_ms=800, device="second", flags=["--device", "1"])}, **TWO)
    there = house.raw_chat("there")
    house.wait_for_journal("start", "there")
    waits = house.raw_chat("large")
    house.wait_for_ticket(consumer="large", stage="waiting")
    assert house.ask("here") == "answer of here", "the first device serves others meanwhile"
    assert there.status == 200 and waits.status == 200
    assert [who for what, who, _, _ in house.journal() if what == "start"] == ["there", "here", "large"]

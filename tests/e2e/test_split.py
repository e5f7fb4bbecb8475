"""A consumer that is split over two devices: it gets a turn and room on both, or waits and holds neither."""
import pathlib

from daemon_harness import GiB, wait_until


def split_consumer(harness, footprint="8GiB"):
    """A consumer with half of its footprint on each device."""
    return harness.fake_consumer("large", footprint, working="1GiB", flags=["--device", "0", "--device", "1"],
                                 devices=["first", "second"], split=[1, 1])


TWO = {"gpu": ["8GiB", "8GiB"], "devices": [{"id": "first", "index": 0}, {"id": "second", "index": 1}]}


def measured_by_consumer(harness):
    """(consumer, measured bytes) of each device, in its last reading."""
    return [(entry["consumer"], entry["measured_bytes"]) for device in harness.status()["devices"]
            for entry in device["memory"]["by_consumer"]]


def test_it_makes_room_on_both_devices_and_each_shows_its_part(harness):
    harness.start_with({"large": split_consumer(harness), "here": harness.fake_consumer("here", "5GiB", device="first"),
                        "there": harness.fake_consumer("there", "5GiB", device="second", flags=["--device", "1"])}, **TWO)
    assert harness.chat("here") == "answer of here" and harness.chat("there") == "answer of there"
    assert harness.chat("large") == "answer of large"
    assert harness.consumer("large")["devices"] == ["first", "second"]
    assert [harness.consumer(name)["state"] for name in ("here", "there")] == ["cold", "cold"]
    wait_until(lambda: measured_by_consumer(harness) == [("large", 4 * GiB)] * 2, "the next reading of both devices")
    assert [gpu["used"] for gpu in harness.gpu_states()] == [4 * GiB, 4 * GiB]
    assert "first+second" in harness.run_mgpu("status").stdout
    environ = pathlib.Path(f"/proc/{harness.consumer('large')['pid']}/environ").read_bytes().decode()
    assert "CUDA_VISIBLE_DEVICES=" + ",".join(gpu["uuid"] for gpu in harness.gpu_states()) in environ.split("\0")
    assert harness.chat("there") == "answer of there", "room on one device must evict the split consumer from both"
    harness.wait_until_quiet()
    assert [gpu["used"] for gpu in harness.gpu_states()] == [0, 5 * GiB]


def test_it_holds_neither_turn_while_it_waits_for_the_other(harness):
    harness.start_with({"large": split_consumer(harness, footprint="12GiB"),
                        "here": harness.fake_consumer("here", "5GiB", device="first"),
                        "there": harness.fake_consumer("there", "5GiB", run_ms=800, device="second",
                                                       flags=["--device", "1"])}, **TWO)
    there = harness.send_raw_chat("there")
    harness.wait_for_service_journal("start", "there")
    waits = harness.send_raw_chat("large")
    harness.wait_for_ticket(consumer="large", stage="waiting")
    assert harness.chat("here") == "answer of here", "the first device must serve others meanwhile"
    assert there.status == 200 and waits.status == 200
    assert [name for what, name, _, _ in harness.service_journal() if what == "start"] == ["there", "here", "large"]

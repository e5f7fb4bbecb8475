"""Two devices: each has a line of its own."""
import os
import pathlib

from house import turns_that_overlap


def test_consumers_of_different_devices_run_at_the_same_time(house):
    house.open({"chat": house.fake("chat", "6GiB", run_ms=1000, device="big"),
                "voice": house.fake("voice", "6GiB", run_ms=200, device="small", flags=["--device", "1"])},
               gpu=["12GiB", "8GiB"], devices=[{"id": "big", "index": 0}, {"id": "small", "index": 1}])
    chat = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    assert house.ask("voice") == "answer of voice"
    assert house.line(consumer="chat", stage="running"), "nobody waited for the other device"
    assert chat.status == 200
    assert turns_that_overlap(house.journal()) == {("voice", "chat")}
    big, small = house.status()["devices"]
    assert (big["total_jobs"], small["total_jobs"]) == (1, 1) or house.wait_until_quiet() is None
    assert [device["used"] for device in house.gpus()] == [6 << 30, 6 << 30]


def test_a_bare_lease_names_its_device(house):
    house.open({"chat": house.fake("chat")}, gpu=["12GiB", "8GiB"])
    assert house.post("/v1/leases", {"bytes": "7GiB", "device": "gpu1"}).json()["device"] == "gpu1"
    assert house.post("/v1/leases", {"bytes": "1GiB", "device": "gpu9"}).status_code == 404
    assert house.ask("chat") == "answer of chat"


def visible_devices(house, name):
    environ = pathlib.Path(f"/proc/{house.consumer(name)['pid']}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in environ if entry).get("CUDA_VISIBLE_DEVICES")


def test_a_process_that_may_be_on_several_devices_sees_the_one_that_it_was_placed_on(house):
    anywhere = {"devices": ["first", "second"], "flags": ["--device", "1"]}
    picky = house.fake("picky", "2GiB", **anywhere)
    picky["runner"]["process"]["env"] = {"CUDA_VISIBLE_DEVICES": "1,0"}
    house.open({"chat": house.fake("chat", "6GiB", run_ms=3000, device="first"),
                "voice": house.fake("voice", "3GiB", **anywhere), "picky": picky},
               gpu=["8GiB", "8GiB"], devices=[{"id": "first"}, {"id": "second"}])
    chat = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    assert house.ask("voice") == "answer of voice"
    assert house.ask("picky") == "answer of picky"
    assert visible_devices(house, "voice") == house.gpus()[1]["uuid"]
    assert visible_devices(house, "picky") == "1,0", "its configuration chose"
    assert visible_devices(house, "chat") == os.environ.get("CUDA_VISIBLE_DEVICES"), "it has no choice: nothing to tell"
    assert chat.status == 200

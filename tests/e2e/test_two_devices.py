"""Two devices: each has a line of its own."""
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

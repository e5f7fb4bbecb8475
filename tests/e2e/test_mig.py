"""MIG slices are devices of their own: each has its memory, its line and its name."""
from house import GiB, turns_that_overlap, wait_until


def test_consumers_of_two_slices_run_side_by_side(house):
    house.simgpu("create", "--device", "24GiB", "--mig", "0=12GiB,-,8GiB")
    slices = [device for device in house.gpus() if "slice_of" in device]
    house.write_config({"chat": house.fake("chat", "8GiB", run_ms=600, device="big", flags=["--device", slices[0]["index"]]),
                        "voice": house.fake("voice", "4GiB", run_ms=200, device="small", flags=["--device", slices[1]["index"]])},
                       devices=[{"id": "big"}, {"id": "small", "uuid": slices[1]["uuid"]}])
    house.start_daemon()
    chat = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    assert house.ask("voice") == "answer of voice" and chat.status == 200
    assert turns_that_overlap(house.journal()) == {("voice", "chat")}

    house.wait_until_quiet()
    wait_until(lambda: [device["memory"]["measured_bytes"] for device in house.status()["devices"]] == [8 * GiB, 4 * GiB],
               "each slice's reading")
    big, small = house.status()["devices"]
    assert big["uuid"] == slices[0]["uuid"] and big["uuid"].startswith("MIG-") and "MIG" in big["name"]
    assert (big["memory"]["total_bytes"], small["memory"]["total_bytes"]) == (12 * GiB, 8 * GiB)
    assert big["utilisation_percent"] is None and big["memory"]["foreign_bytes"] == 0

"""MIG slices are devices of their own: each has its own memory, line and name."""
from daemon_harness import GiB, overlapping_turns, wait_until


def test_consumers_of_two_slices_run_side_by_side(harness):
    harness.simgpu("create", "--device", "24GiB", "--mig", "0=12GiB,-,8GiB")
    slices = [device for device in harness.gpu_states() if "slice_of" in device]
    harness.write_config({"chat": harness.fake_consumer("chat", "8GiB", run_ms=600, device="big",
                                                      flags=["--device", slices[0]["index"]]),
                          "voice": harness.fake_consumer("voice", "4GiB", run_ms=200, device="small",
                                                       flags=["--device", slices[1]["index"]])},
                         devices=[{"id": "big"}, {"id": "small", "uuid": slices[1]["uuid"]}])
    harness.start_daemon()
    chat = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    assert harness.chat("voice") == "answer of voice" and chat.status == 200
    assert overlapping_turns(harness.service_journal()) == {("voice", "chat")}

    harness.wait_until_quiet()
    wait_until(lambda: [device["memory"]["measured_bytes"] for device in harness.status()["devices"]] == [8 * GiB, 4 * GiB],
               "each slice's reading")
    big, small = harness.status()["devices"]
    assert big["uuid"] == slices[0]["uuid"] and big["uuid"].startswith("MIG-") and "MIG" in big["name"]
    assert (big["memory"]["total_bytes"], small["memory"]["total_bytes"]) == (12 * GiB, 8 * GiB)
    assert big["utilisation_percent"] is None and big["memory"]["foreign_bytes"] == 0

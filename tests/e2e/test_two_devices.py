"""Two devices: each has a line of its own."""
import pathlib

from daemon_harness import overlapping_turns


def test_consumers_of_different_devices_run_at_the_same_time(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "6GiB", run_ms=1000, device="big"),
                        "voice": harness.fake_consumer("voice", "6GiB", run_ms=200, device="small", flags=["--device", "1"])},
                       gpu=["12GiB", "8GiB"], devices=[{"id": "big", "index": 0}, {"id": "small", "index": 1}])
    chat = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    assert harness.chat("voice") == "answer of voice"
    assert harness.tickets(consumer="chat", stage="running"), "the first device's job must still run"
    assert chat.status == 200
    assert overlapping_turns(harness.service_journal()) == {("voice", "chat")}
    big, small = harness.status()["devices"]
    assert (big["total_jobs"], small["total_jobs"]) == (1, 1) or harness.wait_until_quiet() is None
    assert [device["used"] for device in harness.gpu_states()] == [6 << 30, 6 << 30]


def test_a_bare_lease_names_its_device(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, gpu=["12GiB", "8GiB"])
    assert harness.post("/v1/leases", {"bytes": "7GiB", "device": "gpu1"}).json()["device"] == "gpu1"
    assert harness.post("/v1/leases", {"bytes": "1GiB", "device": "gpu9"}).status_code == 404
    assert harness.chat("chat") == "answer of chat"


def visible_devices(harness, name):
    environ = pathlib.Path(f"/proc/{harness.consumer(name)['pid']}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in environ if entry).get("CUDA_VISIBLE_DEVICES")


def test_a_process_that_may_be_on_several_devices_sees_the_one_that_it_was_placed_on(harness):
    anywhere = {"devices": ["first", "second"], "flags": ["--device", "1"]}
    picky = harness.fake_consumer("picky", "2GiB", **anywhere)
    picky["runner"]["process"]["env"] = {"CUDA_VISIBLE_DEVICES": "1,0"}
    harness.start_with({"chat": harness.fake_consumer("chat", "6GiB", run_ms=3000, device="first"),
                        "voice": harness.fake_consumer("voice", "3GiB", **anywhere), "picky": picky},
                       gpu=["8GiB", "8GiB"], devices=[{"id": "first"}, {"id": "second"}])
    chat = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    assert harness.chat("voice") == "answer of voice"
    assert harness.chat("picky") == "answer of picky"
    assert visible_devices(harness, "voice") == harness.gpu_states()[1]["uuid"]
    assert visible_devices(harness, "picky") == "1,0", "the configuration's value must be kept"
    assert visible_devices(harness, "chat") == harness.gpu_states()[0]["uuid"]
    assert chat.status == 200

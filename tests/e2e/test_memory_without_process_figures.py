"""A driver that does not report memory per process: the daemon logs it, and takes the difference of the device's total
before and after a load as the consumer's."""
import pytest

from daemon_harness import GiB, wait_until

FAULTS = {"no bytes": ["--hide-processes"], "no list": ["--list", "none"], "an empty list": ["--list", "empty"]}
LOG_LINE = r"gpu0: the driver does not report memory per process"


def device_memory(harness):
    return harness.status()["devices"][0]["memory"]


def measured_bytes(harness, name):
    return sum(owner["measured_bytes"] for owner in device_memory(harness)["by_consumer"] if owner["consumer"] == name)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_load_brings_is_its_own_and_leaves_with_it(harness, fault):
    harness.make_gpu("14GiB")
    harness.simgpu("fault", *FAULTS[fault])
    desktop = harness.start_program("hold", "2GiB", program="mgpu-simgpu")
    # Both declare more than they hold, as is common. `working` is 0: memory of a short job could count as foreign.
    harness.write_config({name: harness.fake_consumer(name, "9GiB", holds="7GiB", working="0") for name in ("chat", "image")})
    harness.start_daemon()
    wait_until(lambda: device_memory(harness)["foreign_bytes"] == 2 * GiB, "the desktop's memory to be measured")

    for name in ("chat", "image", "chat"):
        assert harness.chat(name) == f"answer of {name}"
    wait_until(lambda: device_memory(harness)["attribution"] == "by_totals", "the attribution by totals")
    harness.daemon.wait_for_output(LOG_LINE)
    assert harness.daemon.output.count("the driver does not report memory") == 1
    wait_until(lambda: measured_bytes(harness, "chat") == 7 * GiB, "the load's memory to be attributed to chat")
    assert device_memory(harness)["foreign_bytes"] == 2 * GiB and measured_bytes(harness, "image") == 0

    desktop.signal(15)
    wait_until(lambda: device_memory(harness)["foreign_bytes"] == 0, "the desktop's memory to be free")
    assert measured_bytes(harness, "chat") == 7 * GiB
    assert not harness.events("eviction_failed")


def test_a_driver_that_tells_is_believed(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "8GiB")})
    harness.chat("chat")
    harness.wait_until_quiet()
    wait_until(lambda: measured_bytes(harness, "chat") == 8 * GiB, "the reading")
    assert device_memory(harness)["attribution"] == "by_process"
    assert "the driver does not report memory" not in harness.daemon.output


def test_a_reading_has_an_age(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})  # sampled every 100 ms
    first = device_memory(harness)["reading_age_ms"]
    wait_until(lambda: device_memory(harness)["reading_age_ms"] != first, "the age to change with the next snapshot")
    assert 0 <= first < 2000 and 0 <= device_memory(harness)["reading_age_ms"] < 2000

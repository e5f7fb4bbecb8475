"""Where the driver does not tell what each process holds, the daemon says so, and goes by totals before and after."""
import pytest

from house import GiB, wait_until

FAULTS = {"no bytes": ["--hide-processes"], "no list": ["--list", "none"], "an empty list": ["--list", "empty"]}
SAID = r"gpu0: the driver does not tell how much memory each of our processes holds"


def memory(house):
    return house.status()["devices"][0]["memory"]


def measured(house, name):
    return sum(owner["measured_bytes"] for owner in memory(house)["by_consumer"] if owner["consumer"] == name)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_load_brings_is_its_own_and_leaves_with_it(house, fault):
    house.make_gpu("14GiB")
    house.simgpu("fault", *FAULTS[fault])
    desktop = house.start("hold", "2GiB", program="mgpu-simgpu")
    # Both declare more than they hold, as people do. (What a job adds for a moment could be taken for foreign.)
    house.write_config({name: house.fake(name, "9GiB", holds="7GiB", working="0") for name in ("chat", "image")})
    house.start_daemon()
    wait_until(lambda: memory(house)["foreign_bytes"] == 2 * GiB, "the desktop to be seen")

    for name in ("chat", "image", "chat"):
        assert house.ask(name) == f"answer of {name}"
    wait_until(lambda: memory(house)["attribution"] == "by_totals", "the daemon to say so")
    house.daemon.wait_for(SAID)
    assert house.daemon.text.count("the driver does not tell") == 1
    wait_until(lambda: measured(house, "chat") == 7 * GiB, "what came with chat to be chat's")
    assert memory(house)["foreign_bytes"] == 2 * GiB and measured(house, "image") == 0

    desktop.signal(15)
    wait_until(lambda: memory(house)["foreign_bytes"] == 0, "the desktop to be gone")
    assert measured(house, "chat") == 7 * GiB
    assert not house.events("eviction_failed")


def test_a_driver_that_tells_is_believed(house):
    house.open({"chat": house.fake("chat", "8GiB")})
    house.ask("chat")
    house.wait_until_quiet()
    wait_until(lambda: measured(house, "chat") == 8 * GiB, "the reading")
    assert memory(house)["attribution"] == "by_process"
    assert "the driver does not tell" not in house.daemon.text


def test_a_reading_has_an_age(house):
    house.open({"chat": house.fake("chat")})  # a reading each 100 ms
    ages = [memory(house)["reading_age_ms"] for _ in range(20)]
    assert all(0 <= age < 2000 for age in ages) and len(set(ages)) > 1

"""A driver that hangs, and a strand that is held up, keep nobody from ending the daemon."""
import signal
import time

from house import exists, wait_until


def hang(house):
    house.simgpu("fault", "--hang")
    wait_until(lambda: house.gpus()[0].get("hanging"), "a reading that does not return")


def test_a_daemon_whose_driver_hangs_still_drains(house):
    house.open({"chat": house.fake("chat")})
    assert house.ask("chat")
    pid = house.consumer("chat")["pid"]
    hang(house)
    began = time.monotonic()
    assert house.stop_daemon() == 0
    assert time.monotonic() - began < 10
    assert not exists(pid)
    assert "the driver hangs" in house.daemon.text


def test_the_second_signal_ends_it_whatever_hangs(house):
    house.open({"chat": house.fake("chat", run_ms=60000)}, limits={"drain_limit": "1h"})
    running = house.raw_chat("chat")
    house.wait_for_journal("start", "chat")
    hang(house)
    house.daemon.signal(signal.SIGTERM)
    house.daemon.wait_for("draining")
    began = time.monotonic()
    house.daemon.signal(signal.SIGTERM)
    assert house.daemon.exit_code() == 1
    assert time.monotonic() - began < 8
    running.hang_up()

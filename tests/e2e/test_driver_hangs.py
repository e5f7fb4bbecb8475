"""A daemon whose driver hangs, or whose strand is blocked, can still be ended."""
import signal
import time

from daemon_harness import is_running, wait_until


def hang_driver(harness):
    harness.simgpu("fault", "--hang")
    wait_until(lambda: harness.gpu_states()[0].get("hanging"), "a reading of the device to hang")


def test_a_daemon_whose_driver_hangs_still_drains(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    assert harness.chat("chat")
    pid = harness.consumer("chat")["pid"]
    hang_driver(harness)
    began = time.monotonic()
    assert harness.stop_daemon() == 0
    assert time.monotonic() - began < 10
    assert not is_running(pid)
    assert "the driver hangs" in harness.daemon.output


def test_the_second_signal_ends_it_whatever_hangs(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=60000)}, limits={"drain_limit": "1h"})
    running = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    hang_driver(harness)
    harness.daemon.signal(signal.SIGTERM)
    harness.daemon.wait_for_output("draining")
    began = time.monotonic()
    harness.daemon.signal(signal.SIGTERM)
    assert harness.daemon.exit_code() == 1
    assert time.monotonic() - began < 8
    running.close()

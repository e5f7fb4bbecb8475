"""kill -9 of the daemon leaves no consumer behind, and the next daemon starts anew."""
import os
import signal

from house import wait_until


def test_no_process_and_no_memory_is_left(house):
    house.open({"chat": house.fake("chat", "5GiB"), "voice": house.fake("voice", "5GiB", run_ms=5000)})
    house.ask("chat")
    client = house.raw_chat("voice")
    house.wait_for_journal("start", "voice")
    assert len(house.processes()) == 3

    os.kill(house.daemon.pid, signal.SIGKILL)

    client.hang_up()
    wait_until(lambda: house.processes() == [], "everybody to be gone")
    house.daemon.child.wait()
    assert house.gpus()[0]["used"] == 0
    house.start_daemon()
    assert house.ask("chat") == "answer of chat"

"""The device is left to a foreign program that `yield_to` names, as long as that program holds memory there."""
from daemon_harness import GiB, wait_until


def yielding_to(harness):
    return harness.status()["devices"][0]["yielding_to"]


def test_the_status_says_to_whom(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, yield_to=["steam", "mgpu-SIM*"])
    assert yielding_to(harness) is None
    game = harness.start_program("hold", "1GiB", program="mgpu-simgpu")
    shown = wait_until(lambda: yielding_to(harness), "the device to yield to the game")
    assert shown["pid"] == game.pid and "mgpu-simgpu hold" in shown["command"]
    assert f"({game.pid})" in harness.run_mgpu("status").stdout
    game.kill()
    wait_until(lambda: yielding_to(harness) is None, "the device to end its yielding")
    assert harness.chat("chat") == "answer of chat"


def test_other_foreign_programs_are_merely_foreign(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, yield_to=["steam", "*.exe"])
    harness.start_program("hold", "1GiB", program="mgpu-simgpu")
    wait_until(lambda: harness.status()["devices"][0]["memory"]["foreign_processes"], "the foreign process to be listed")
    assert yielding_to(harness) is None


def test_the_idle_leave_and_newcomers_wait_until_it_is_over(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", pinned=True)}, yield_to=["mgpu-simgpu"])
    harness.chat("chat")
    game = harness.start_program("hold", "1GiB", program="mgpu-simgpu")
    harness.wait_for_state("chat", "cold")
    waiting = harness.send_raw_chat("chat")
    harness.wait_for_ticket(consumer="chat", stage="waiting")
    assert harness.gpu_states()[0]["used"] == GiB
    game.kill()
    assert waiting.status == 200

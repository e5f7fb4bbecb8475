"""A device is left to a foreign program that `yield_to` names, for as long as it holds memory there."""
from house import GiB, wait_until


def yielding_to(house):
    return house.status()["devices"][0]["yielding_to"]


def test_the_status_says_to_whom(house):
    house.open({"chat": house.fake("chat")}, yield_to=["steam", "mgpu-SIM*"])
    assert yielding_to(house) is None
    game = house.start("hold", "1GiB", program="mgpu-simgpu")
    shown = wait_until(lambda: yielding_to(house), "the device to be left to the game")
    assert shown["pid"] == game.pid and "mgpu-simgpu hold" in shown["command"]
    assert f"({game.pid})" in house.mgpu("status").stdout
    game.kill()
    wait_until(lambda: yielding_to(house) is None, "the device to be ours again")
    assert house.ask("chat") == "answer of chat"


def test_other_foreign_programs_are_merely_foreign(house):
    house.open({"chat": house.fake("chat")}, yield_to=["steam", "*.exe"])
    house.start("hold", "1GiB", program="mgpu-simgpu")
    wait_until(lambda: house.status()["devices"][0]["memory"]["foreign_processes"], "the foreign process to be seen")
    assert yielding_to(house) is None


def test_the_idle_leave_and_newcomers_wait_until_it_is_over(house):
    house.open({"chat": house.fake("chat", pinned=True)}, yield_to=["mgpu-simgpu"])
    house.ask("chat")
    game = house.start("hold", "1GiB", program="mgpu-simgpu")
    house.wait_for_state("chat", "cold")
    waiting = house.raw_chat("chat")
    house.wait_for_ticket(consumer="chat", stage="waiting")
    assert house.gpus()[0]["used"] == GiB
    game.kill()
    assert waiting.status == 200

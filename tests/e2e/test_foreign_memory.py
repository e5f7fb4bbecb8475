"""Foreign memory is respected: idle residents leave when it grows, and who does not fit beside it waits or is told."""
import openai
import pytest

from house import wait_until


def test_idle_residents_leave_when_a_game_starts(house):
    house.open({"chat": house.fake("chat", "8GiB")})
    house.ask("chat")
    game = house.start("hold", "3.8GiB", program="mgpu-simgpu")  # into the reserve: the driver would still give it

    house.wait_for_state("chat", "cold")

    assert [data["reason"] for _, data in house.events("planned")] == ["pressure"]
    foreign = house.status()["devices"][0]["memory"]
    assert foreign["foreign_bytes"] > 3 << 30 and foreign["foreign_processes"][0]["pid"] == game.pid


def test_who_does_not_fit_beside_it_is_told_after_the_room_limit(house):
    house.open({"chat": house.fake("chat", "8GiB")}, limits={"room_limit": "300ms"})
    game = house.start("hold", "6GiB", program="mgpu-simgpu")
    wait_until(lambda: house.status()["devices"][0]["memory"]["foreign_bytes"], "the driver to show it")
    with pytest.raises(openai.APIStatusError) as told:
        house.ask("chat")
    assert told.value.status_code == 507 and told.value.code == "no_room" and "6" in told.value.message
    game.signal(15)
    game.exit_code()
    wait_until(lambda: house.status()["devices"][0]["memory"]["foreign_bytes"] == 0, "the game to be gone")
    assert house.ask("chat") == "answer of chat"


def test_a_request_waits_for_the_game_to_end(house):
    house.open({"chat": house.fake("chat", "8GiB")})
    game = house.start("hold", "6GiB", program="mgpu-simgpu")
    wait_until(lambda: house.status()["devices"][0]["memory"]["foreign_bytes"], "the driver to show it")
    waiting = house.raw_chat("chat")
    house.wait_for_ticket(stage="waiting")
    game.signal(15)
    assert waiting.status == 200

"""Foreign memory grows: idle residents are evicted; a request that does not fit beside it waits or is refused."""
import openai
import pytest

from daemon_harness import wait_until


def test_idle_residents_leave_when_a_game_starts(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "8GiB")})
    harness.chat("chat")
    game = harness.start_program("hold", "3.8GiB", program="mgpu-simgpu")  # into the reserve, which the driver would grant

    harness.wait_for_state("chat", "cold")

    assert [data["reason"] for _, data in harness.events("planned")] == ["pressure"]
    memory = harness.status()["devices"][0]["memory"]
    assert memory["foreign_bytes"] > 3 << 30 and memory["foreign_processes"][0]["pid"] == game.pid


def test_who_does_not_fit_beside_it_is_told_after_the_room_limit(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "8GiB")}, limits={"room_limit": "300ms"})
    game = harness.start_program("hold", "6GiB", program="mgpu-simgpu")
    wait_until(lambda: harness.status()["devices"][0]["memory"]["foreign_bytes"], "the foreign memory to be measured")
    with pytest.raises(openai.APIStatusError) as raised:
        harness.chat("chat")
    assert raised.value.status_code == 507 and raised.value.code == "no_room" and "6" in raised.value.message
    game.signal(15)
    game.exit_code()
    wait_until(lambda: harness.status()["devices"][0]["memory"]["foreign_bytes"] == 0, "the game's memory to be free")
    assert harness.chat("chat") == "answer of chat"


def test_a_request_waits_for_the_game_to_end(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "8GiB")})
    game = harness.start_program("hold", "6GiB", program="mgpu-simgpu")
    wait_until(lambda: harness.status()["devices"][0]["memory"]["foreign_bytes"], "the foreign memory to be measured")
    waiting = harness.send_raw_chat("chat")
    harness.wait_for_ticket(stage="waiting")
    game.signal(15)
    assert waiting.status == 200

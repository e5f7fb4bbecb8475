"""A service that dies while nobody needs it: noticed at once, its memory is free, the next request loads it again."""
import os
import signal


def test_it_is_cold_and_loads_again(house):
    house.open({"chat": house.fake("chat")})
    house.ask("chat")
    os.kill(house.consumer("chat")["pid"], signal.SIGKILL)

    house.wait_for_state("chat", "cold")
    assert len(house.events("service_lost")) == 1
    assert house.ask("chat") == "answer of chat"
    assert len(house.events("load")) == 2

"""A service that never gets ready: its load ends at the limit, and its memory is taken back for the others."""
import openai
import pytest


def test_the_load_fails_at_its_limit_and_the_others_go_on(house):
    house.open({"sick": house.fake("sick", "8GiB", fault="never-healthy", load_limit="400ms"),
                "chat": house.fake("chat", "8GiB")})
    with pytest.raises(openai.InternalServerError) as told:
        house.ask("sick")
    assert told.value.status_code == 503 and told.value.code == "load_failed"
    assert house.ask("chat") == "answer of chat"
    assert house.state("sick") == "failed" and house.consumer("sick")["pid"] is None


def test_whoever_asks_during_the_pause_hears_the_same_reason_at_once(house):
    house.open({"sick": house.fake("sick", fault="never-healthy", load_limit="300ms")})
    for _ in range(3):
        with pytest.raises(openai.InternalServerError) as told:
            house.ask("sick")
        assert told.value.code == "load_failed"
    assert len(house.events("load")) < 3

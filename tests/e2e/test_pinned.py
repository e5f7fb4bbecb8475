"""A pinned consumer is never evicted; who needs its room is told."""
import openai
import pytest


def test_it_stays_and_others_leave_instead(house):
    house.open({"voice": house.fake("voice", "2GiB", pinned=True), "chat": house.fake("chat", "6GiB"),
                "image": house.fake("image", "7GiB")})
    for name in ("voice", "chat", "image"):
        house.ask(name)
    assert [house.state(name) for name in ("voice", "chat", "image")] == ["warm", "cold", "warm"]
    refused = house.post("/v1/consumers/voice/unload")
    assert refused.status_code == 409 and "pinned" in refused.json()["error"]["message"]


def test_who_does_not_fit_beside_it_is_refused(house):
    house.open({"voice": house.fake("voice", "6GiB", pinned=True), "chat": house.fake("chat", "8GiB")},
               limits={"room_limit": "200ms"})
    house.ask("voice")
    with pytest.raises(openai.APIStatusError) as told:
        house.ask("chat")
    assert told.value.status_code == 507 and told.value.code == "no_room" and "pinned" in told.value.message
    assert house.ask("voice") == "answer of voice"

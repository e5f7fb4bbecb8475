"""A pinned consumer is never evicted; a request that needs its room is refused."""
import openai
import pytest


def test_it_stays_and_others_leave_instead(harness):
    harness.start_with({"voice": harness.fake_consumer("voice", "2GiB", pinned=True),
                        "chat": harness.fake_consumer("chat", "6GiB"), "image": harness.fake_consumer("image", "7GiB")})
    for name in ("voice", "chat", "image"):
        harness.chat(name)
    assert [harness.state(name) for name in ("voice", "chat", "image")] == ["warm", "cold", "warm"]
    refused = harness.post("/v1/consumers/voice/unload")
    assert refused.status_code == 409 and "pinned" in refused.json()["error"]["message"]


def test_who_does_not_fit_beside_it_is_refused(harness):
    harness.start_with({"voice": harness.fake_consumer("voice", "6GiB", pinned=True),
                        "chat": harness.fake_consumer("chat", "8GiB")},
                       limits={"room_limit": "200ms"})
    harness.chat("voice")
    with pytest.raises(openai.APIStatusError) as raised:
        harness.chat("chat")
    assert raised.value.status_code == 507 and raised.value.code == "no_room" and "pinned" in raised.value.message
    assert harness.chat("voice") == "answer of voice"

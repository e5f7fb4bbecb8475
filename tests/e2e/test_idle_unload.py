"""idle_unload: a consumer that was idle for that long is unloaded."""


def test_it_leaves_after_its_time_and_not_before(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", idle_unload="500ms"),
                        "voice": harness.fake_consumer("voice", "2GiB")})
    harness.chat("voice")
    harness.chat("chat")
    assert harness.state("chat") == "warm"
    harness.wait_for_state("chat", "cold")
    [(_, plan)] = harness.events("planned")
    assert plan["reason"] == "idle" and plan["victims"] == [{"consumer": "chat", "ai_model": ""}]
    assert harness.state("voice") == "warm"
    assert harness.chat("chat") == "answer of chat"

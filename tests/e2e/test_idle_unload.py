"""idle_unload: whoever was idle for that long leaves the device by itself."""


def test_it_leaves_after_its_time_and_not_before(house):
    house.open({"chat": house.fake("chat", idle_unload="500ms"), "voice": house.fake("voice", "2GiB")})
    house.ask("voice")
    house.ask("chat")
    assert house.state("chat") == "warm"
    house.wait_for_state("chat", "cold")
    [(_, plan)] = house.events("planned")
    assert plan["reason"] == "idle" and plan["victims"] == [{"consumer": "chat", "ai_model": ""}]
    assert house.state("voice") == "warm"
    assert house.ask("chat") == "answer of chat"

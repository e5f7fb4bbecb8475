"""A connection that is kept alive may name another AI model with every request."""


def test_each_request_of_one_connection_goes_to_its_own_consumer(house):
    house.open({name: house.fake(name, size) for name, size in {"chat": "3GiB", "voice": "3GiB", "big": "8GiB"}.items()})
    raw = house.raw_chat("chat")
    assert raw.json()["model"] == "chat"
    for name in ("voice", "big", "chat", "chat", "voice"):
        raw.ask_again("POST", "/v1/chat/completions", {"model": name, "messages": []})
        assert raw.json()["model"] == name
    # A wrong one does not spoil the connection for the next.
    raw.ask_again("POST", "/v1/chat/completions", {"model": "nobody", "messages": []})
    assert raw.status == 404
    raw.ask_again("GET", "/v1/models")
    assert {one["id"] for one in raw.json()["data"]} == {"chat", "voice", "big"}

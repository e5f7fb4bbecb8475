"""Each request of a kept-alive connection may name another AI model."""


def test_each_request_of_one_connection_goes_to_its_own_consumer(harness):
    harness.start_with({name: harness.fake_consumer(name, size) 
                        for name, size in {"chat": "3GiB", "voice": "3GiB", "big": "8GiB"}.items()})
    connection = harness.send_raw_chat("chat")
    assert connection.json()["model"] == "chat"
    for name in ("voice", "big", "chat", "chat", "voice"):
        connection.send_request("POST", "/v1/chat/completions", {"model": name, "messages": []})
        assert connection.json()["model"] == name
    # After a refused request the connection still serves the next one.
    connection.send_request("POST", "/v1/chat/completions", {"model": "nobody", "messages": []})
    assert connection.status == 404
    connection.send_request("GET", "/v1/models")
    assert {one["id"] for one in connection.json()["data"]} == {"chat", "voice", "big"}

"""Who sends a request is found out once, before it is known what the request is for."""
import pytest


def test_a_name_that_is_too_long_is_refused_in_the_shape_of_the_route(one_consumer_harness):
    headers = {"X-Mgpu-User": "x" * 129}
    http = one_consumer_harness.http_client
    chat = {"model": "chat", "messages": []}
    responses = [http.post("/v1/chat/completions", json=chat, headers=headers), http.post("/api/chat", json=chat, headers=headers),
                 http.post("/v1/leases", json={"bytes": "1MiB"}, headers=headers)]
    assert [response.status_code for response in responses] == [400, 400, 400]
    openai, ollama, control = [response.json()["error"] for response in responses]
    assert openai["type"] == "invalid_request_error" and "X-Mgpu-User" in openai["message"]
    assert "X-Mgpu-User" in ollama
    assert control["code"] == "invalid_request" and "X-Mgpu-User" in control["message"]
    assert one_consumer_harness.events("ticket_arrived") == []


@pytest.mark.parametrize("headers, body, user", [
    ({"X-Mgpu-User": "ada"}, {}, "ada"),
    ({"X-Mgpu-User": "ada"}, {"user": "bob"}, "bob"),
    ({"Authorization": "Bearer sk-secret"}, {}, "key 1"),
    ({}, {}, None),
])
def test_a_lease_counts_for_the_user_of_its_request(one_consumer_harness, headers, body, user):
    http = one_consumer_harness.http_client
    response = http.post("/v1/leases", json={"bytes": "1MiB", "ttl": "1m", **body}, headers=headers)
    assert response.status_code == 200
    [ticket] = one_consumer_harness.get("/v1/line")["line"]
    assert ticket["user"] == user


@pytest.fixture
def one_consumer_harness(harness):
    return harness.start_with({"chat": harness.fake_consumer("chat")})

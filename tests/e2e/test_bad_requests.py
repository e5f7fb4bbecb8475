"""Invalid requests are refused at once, with a reason, and never reach a consumer."""
import socket

import pytest


@pytest.mark.parametrize("body, reason", [
    (b"{not json", "JSON"),
    (b'["model", "chat"]', "object"),
    (b'{"messages": []}', "model"),
    (b'{"model": 7}', "model"),
    (b'{"model": ""}', ""),
    (b"", "model"),
    (b'{"messages": [{"content": "cut off', "JSON"),
])
def test_it_is_refused_in_the_shape_of_its_route(one_consumer_harness, body, reason):
    harness = one_consumer_harness
    openai_response = harness.http_client.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    ollama_response = harness.http_client.post("/api/chat", content=body)

    assert openai_response.status_code in (400, 404) and ollama_response.status_code == openai_response.status_code
    error = openai_response.json()["error"]
    assert error["code"] in ("invalid_request", "not_found") and error["type"] == "invalid_request_error"
    assert reason in error["message"]
    assert isinstance(ollama_response.json()["error"], str) and reason in ollama_response.json()["error"]
    assert harness.events("ticket_arrived") == []


def test_routes_that_are_not_there(one_consumer_harness):
    harness = one_consumer_harness
    assert harness.http_client.get("/v1/nothing").status_code == 404
    assert harness.http_client.get("/v1/chat/completions").status_code in (400, 405)
    assert harness.http_client.post("/v1/status").status_code in (400, 404, 405)


def test_what_is_no_http_at_all_harms_nobody(one_consumer_harness):
    harness = one_consumer_harness
    address = (harness.http_client.base_url.host, harness.http_client.base_url.port)
    for garbage in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\r\n" * 50, b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(garbage)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
    assert harness.get("/healthz") == {"status": "ok"}


@pytest.fixture
def one_consumer_harness(harness):
    return harness.start_with({"chat": harness.fake_consumer("chat")})

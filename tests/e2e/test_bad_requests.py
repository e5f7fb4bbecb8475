"""Requests that make no sense are refused with a reason, at once, and reach nobody."""
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
def test_it_is_refused_in_the_shape_of_its_route(house_of_one, body, reason):
    house = house_of_one
    of_openai = house.http.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    of_ollama = house.http.post("/api/chat", content=body)

    assert of_openai.status_code in (400, 404) and of_ollama.status_code == of_openai.status_code
    error = of_openai.json()["error"]
    assert error["code"] in ("invalid_request", "not_found") and error["type"] == "invalid_request_error"
    assert reason in error["message"]
    assert isinstance(of_ollama.json()["error"], str) and reason in of_ollama.json()["error"]
    assert house.events("ticket_arrived") == []


def test_routes_that_are_not_there(house_of_one):
    house = house_of_one
    assert house.http.get("/v1/nothing").status_code == 404
    assert house.http.get("/v1/chat/completions").status_code in (400, 405)
    assert house.http.post("/v1/status").status_code in (400, 404, 405)


def test_what_is_no_http_at_all_harms_nobody(house_of_one):
    house = house_of_one
    address = (house.http.base_url.host, house.http.base_url.port)
    for rubbish in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\r\n" * 50, b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
        with socket.create_connection(address, timeout=10) as visitor:
            visitor.sendall(rubbish)
            visitor.shutdown(socket.SHUT_WR)
            while visitor.recv(4096):
                pass
    assert house.get("/healthz") == {"status": "ok"}


@pytest.fixture
def house_of_one(house):
    return house.open({"chat": house.fake("chat")})

"""Every answer that went through the line carries its ticket and the time spent waiting, loading and running."""
import re


def parse_server_timing(headers):
    found = re.fullmatch(r"queue;dur=([\d.]+), load;dur=([\d.]+), run;dur=([\d.]+)", headers["server-timing"])
    return dict(zip(("queue", "load", "run"), map(float, found.groups())))


def test_a_cold_start_shows_its_load_and_a_warm_one_does_not(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", load_ms=200, run_ms=100)})
    body = {"model": "chat", "messages": []}
    cold = harness.http_client.post("/v1/chat/completions", json=body)
    warm = harness.http_client.post("/v1/chat/completions", json=body)
    assert parse_server_timing(cold.headers)["load"] >= 200 and parse_server_timing(warm.headers)["load"] < 50
    assert int(warm.headers["x-mgpu-ticket"]) > int(cold.headers["x-mgpu-ticket"])


def test_refusals_of_the_service_itself_carry_them_too(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    answer = harness.http_client.post("/c/chat/nothing-here")
    assert answer.status_code == 404 and answer.json() == {"error": {"message": "no such route"}}
    assert "x-mgpu-ticket" in answer.headers and parse_server_timing(answer.headers)


def test_what_needed_no_turn_carries_none(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", free_paths=["/v1/models"])})
    harness.chat("chat")
    answer = harness.http_client.get("/c/chat/v1/models")
    assert answer.json()["data"][0]["id"] == "chat" and "x-mgpu-ticket" not in answer.headers

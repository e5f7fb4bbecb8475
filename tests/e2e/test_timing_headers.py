"""Every answer that went through the line says how long each part took, and under which ticket."""
import re


def timing(headers):
    found = re.fullmatch(r"queue;dur=([\d.]+), load;dur=([\d.]+), run;dur=([\d.]+)", headers["server-timing"])
    return dict(zip(("queue", "load", "run"), map(float, found.groups())))


def test_a_cold_start_shows_its_load_and_a_warm_one_does_not(house):
    house.open({"chat": house.fake("chat", load_ms=200, run_ms=100)})
    asked = {"model": "chat", "messages": []}
    cold = house.http.post("/v1/chat/completions", json=asked)
    warm = house.http.post("/v1/chat/completions", json=asked)
    assert timing(cold.headers)["load"] >= 200 and timing(warm.headers)["load"] < 50
    assert int(warm.headers["x-mgpu-ticket"]) > int(cold.headers["x-mgpu-ticket"])


def test_refusals_of_the_service_itself_carry_them_too(house):
    house.open({"chat": house.fake("chat")})
    answer = house.http.get("/c/chat/nothing-here")
    assert answer.status_code == 404 and answer.json() == {"error": {"message": "no such route"}}
    assert "x-mgpu-ticket" in answer.headers and timing(answer.headers)


def test_what_needed_no_turn_carries_none(house):
    house.open({"chat": house.fake("chat", free_paths=["/v1/models"])})
    house.ask("chat")
    answer = house.http.get("/c/chat/v1/models")
    assert answer.json()["data"][0]["id"] == "chat" and "x-mgpu-ticket" not in answer.headers

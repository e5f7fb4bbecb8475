"""A service that answers what is no HTTP: 502 with a reason; what is HTTP passes as it is, whatever it says."""
import openai
import pytest


def test_no_http_is_a_502(house):
    house.open({"odd": house.fake("odd", fault="not-http"), "chat": house.fake("chat", "8GiB")})
    with pytest.raises(openai.InternalServerError) as told:
        house.ask("odd")
    assert told.value.status_code == 502 and told.value.code == "service_down" and told.value.message
    house.wait_until_quiet()
    assert house.ask("chat") == "answer of chat"


def test_an_answer_that_means_nothing_passes_as_it_is(house):
    house.open({"odd": house.fake("odd", fault="rubbish")})
    answer = house.http.post("/v1/chat/completions", json={"model": "odd"})
    assert answer.status_code == 200 and answer.text == "<rubbish>"

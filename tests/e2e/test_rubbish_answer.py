"""A service that does not answer HTTP: 502 with a reason. Any HTTP answer passes unchanged, whatever its body."""
import openai
import pytest


def test_no_http_is_a_502(harness):
    harness.start_with({"odd": harness.fake_consumer("odd", fault="not-http"), "chat": harness.fake_consumer("chat", "8GiB")})
    with pytest.raises(openai.InternalServerError) as raised:
        harness.chat("odd")
    assert raised.value.status_code == 502 and raised.value.code == "service_down" and raised.value.message
    harness.wait_until_quiet()
    assert harness.chat("chat") == "answer of chat"


def test_an_answer_that_means_nothing_passes_as_it_is(harness):
    harness.start_with({"odd": harness.fake_consumer("odd", fault="rubbish")})
    answer = harness.http_client.post("/v1/chat/completions", json={"model": "odd"})
    assert answer.status_code == 200 and answer.text == "<rubbish>"

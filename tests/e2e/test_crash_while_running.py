"""A service that dies while it works: its client gets an error in its own protocol, and the turn is free."""
import os
import signal

import httpx
import openai
import pytest


def test_before_the_answer_began_it_is_a_502_and_the_next_request_loads_it_again(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=400)})
    client = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    first_pid = harness.consumer("chat")["pid"]

    os.kill(first_pid, signal.SIGKILL)

    assert client.status == 502 and client.json()["error"]["code"] == "service_down"
    assert "signal 9" in client.json()["error"]["message"]
    harness.wait_until_quiet()
    assert harness.chat("chat") == "answer of chat"
    assert harness.consumer("chat")["pid"] != first_pid


def test_in_the_middle_of_a_stream_the_client_is_told(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=500, fault="crash-in-stream"),
                        "voice": harness.fake_consumer("voice", "8GiB")})
    words = []

    with harness.openai() as client, pytest.raises((openai.APIError, httpx.RemoteProtocolError)):
        for chunk in client.chat.completions.create(model="chat", messages=[], stream=True):
            words.append(chunk.choices[0].delta.content)

    assert words == ["word0", "word1"]
    assert harness.chat("voice") == "answer of voice"
    harness.wait_until_quiet()

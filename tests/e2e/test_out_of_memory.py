"""A service runs out of device memory although the plan had room: the request is retried exactly once."""
import httpx


def out_of_memory_consumer(harness, name, fault, once=True):
    """A consumer that runs out of memory at its first request, or at each request."""
    if not once:
        return harness.fake_consumer(name, fault=fault)
    trigger = harness.folder / f"{name}.once"
    trigger.touch()
    return harness.fake_consumer(name, fault=fault, flags=["--once", str(trigger)])


def post_chat(harness, **body):
    return harness.post("/v1/chat/completions", {"model": "chat", "messages": [], **body})


def test_of_a_service_that_dies_of_it_the_client_sees_nothing(harness):
    harness.start_with({"chat": out_of_memory_consumer(harness, "chat", "oom-crash-at-request")})
    harness.post("/v1/consumers/chat/load")
    pid = harness.consumer("chat")["pid"]
    answer = post_chat(harness)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-mgpu-retried"] == "1" and harness.consumer("chat")["pid"] != pid
    assert harness.status()["oom_retries"] == 1
    harness.wait_until_quiet()


def test_of_a_service_that_says_so_the_client_sees_nothing(harness):
    harness.start_with({"chat": out_of_memory_consumer(harness, "chat", "oom-at-request")}, gpu="24GiB")
    answer = post_chat(harness)
    assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"] == "answer of chat"
    assert answer.headers["x-mgpu-retried"] == "1"
    requeued = harness.events("requeued")
    assert [data["ticket"] for _, data in requeued] == [int(answer.headers["x-mgpu-ticket"])], "the retry keeps the ticket number"
    assert harness.status()["oom_retries"] == 1 and harness.status()["total_jobs"] == 1
    harness.wait_until_quiet()


def test_a_stream_is_tried_again_before_its_first_byte(harness):
    harness.start_with({"chat": out_of_memory_consumer(harness, "chat", "oom-at-request")}, gpu="24GiB")
    with harness.openai() as client:
        words = [chunk.choices[0].delta.content for chunk in client.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "hello"}], stream=True)]
    assert words == [f"word{i}" for i in range(5)]


def test_said_twice_it_is_the_clients_to_know(harness):
    harness.start_with({"chat": out_of_memory_consumer(harness, "chat", "oom-at-request", once=False)}, gpu="24GiB")
    answer = post_chat(harness)
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "out_of_memory"
    assert answer.headers["x-mgpu-retried"] == "1" and harness.status()["oom_retries"] == 1
    harness.wait_until_quiet()


def test_twice_is_the_clients_to_know(harness):
    harness.start_with({"chat": out_of_memory_consumer(harness, "chat", "oom-crash-at-request", once=False)})
    answer = post_chat(harness)
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "out_of_memory"
    assert "CUDA out of memory" in answer.json()["error"]["message"]
    assert answer.headers["x-mgpu-retried"] == "1" and harness.status()["oom_retries"] == 1
    harness.wait_until_quiet()


def test_it_is_told_in_the_protocol_of_the_caller(harness):
    harness.start_with({"ollama": harness.fake_ollama_consumer({"chat": "4GiB"}, fault="oom-crash-at-request")})
    answer = harness.post("/api/chat", {"model": "chat", "messages": [{"role": "user", "content": "hello"}]})
    assert answer.status_code == 503 and "out of memory" in answer.json()["error"]


def test_who_takes_more_than_it_said_gets_more_room(harness):
    harness.refusals_allowed = True
    harness.start_with({"voice": harness.fake_consumer("voice", "5GiB"),
                        "chat": harness.fake_consumer("chat", "5GiB", holds="8GiB")})
    assert harness.chat("voice") == "answer of voice"
    assert harness.chat("chat") == "answer of chat", "the failed first load must be invisible to the client"
    assert harness.state("voice") == "cold"
    assert [data["ok"] for what, data in harness.events("load_ended") if data["consumer"] == "chat"] == [False, True]


def test_a_body_too_large_to_keep_is_not_sent_again(harness):
    harness.start_with({"chat": out_of_memory_consumer(harness, "chat", "oom-crash-at-request")}, limits={"body_memory": "64KiB"})
    answer = post_chat(harness, padding="x" * (1 << 20))
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "out_of_memory"
    assert "x-mgpu-retried" not in answer.headers and harness.status()["oom_retries"] == 0
    assert post_chat(harness).status_code == 200


def test_other_errors_of_a_service_pass_as_they_are(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    harness.chat("chat")
    answer = httpx.get(f"{harness.url}/c/chat/v9/nothing")
    assert answer.status_code == 404 and "no such route" in answer.text

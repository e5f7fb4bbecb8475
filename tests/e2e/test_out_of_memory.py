"""A service runs out of device memory although everything was reckoned: the request is sent once more, exactly once."""
import httpx


def striking(house, name, fault, once=True):
    """A consumer that runs out of memory at its first request, or at each."""
    if not once:
        return house.fake(name, fault=fault)
    trigger = house.folder / f"{name}.once"
    trigger.touch()
    return house.fake(name, fault=fault, flags=["--once", str(trigger)])


def ask(house, **body):
    return house.post("/v1/chat/completions", {"model": "chat", "messages": [], **body})


def test_of_a_service_that_dies_of_it_the_client_sees_nothing(house):
    house.open({"chat": striking(house, "chat", "oom-crash-at-request")})
    house.post("/v1/consumers/chat/load")
    pid = house.consumer("chat")["pid"]
    answer = ask(house)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-mgpu-retried"] == "1" and house.consumer("chat")["pid"] != pid
    assert house.status()["oom_retries"] == 1
    house.wait_until_quiet()


def test_of_a_service_that_says_so_the_client_sees_nothing(house):
    house.open({"chat": striking(house, "chat", "oom-at-request")}, gpu="24GiB")
    answer = ask(house)
    assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"] == "answer of chat"
    assert answer.headers["x-mgpu-retried"] == "1"
    requeued = house.events("requeued")
    assert [data["ticket"] for _, data in requeued] == [int(answer.headers["x-mgpu-ticket"])], "under its old number"
    assert house.status()["oom_retries"] == 1 and house.status()["total_jobs"] == 1
    house.wait_until_quiet()


def test_a_stream_is_tried_again_before_its_first_byte(house):
    house.open({"chat": striking(house, "chat", "oom-at-request")}, gpu="24GiB")
    with house.openai() as client:
        words = [chunk.choices[0].delta.content for chunk in client.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "hello"}], stream=True)]
    assert words == [f"word{i}" for i in range(5)]


def test_said_twice_it_is_the_clients_to_know(house):
    house.open({"chat": striking(house, "chat", "oom-at-request", once=False)}, gpu="24GiB")
    answer = ask(house)
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "out_of_memory"
    assert answer.headers["x-mgpu-retried"] == "1" and house.status()["oom_retries"] == 1
    house.wait_until_quiet()


def test_twice_is_the_clients_to_know(house):
    house.open({"chat": striking(house, "chat", "oom-crash-at-request", once=False)})
    answer = ask(house)
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "out_of_memory"
    assert "CUDA out of memory" in answer.json()["error"]["message"]
    assert answer.headers["x-mgpu-retried"] == "1" and house.status()["oom_retries"] == 1
    house.wait_until_quiet()


def test_it_is_told_in_the_protocol_of_the_caller(house):
    house.open({"ollama": house.fake_ollama({"chat": "4GiB"}, fault="oom-crash-at-request")})
    answer = house.post("/api/chat", {"model": "chat", "messages": []})
    assert answer.status_code == 503 and "out of memory" in answer.json()["error"]


def test_who_takes_more_than_it_said_gets_more_room(house):
    house.refusals_allowed = True
    house.open({"voice": house.fake("voice", "5GiB"), "chat": house.fake("chat", "5GiB", holds="8GiB")})
    assert house.ask("voice") == "answer of voice"
    assert house.ask("chat") == "answer of chat", "its first load failed, and the client saw nothing of it"
    assert house.state("voice") == "cold"
    assert [data["ok"] for what, data in house.events("load_ended") if data["consumer"] == "chat"] == [False, True]


def test_a_body_too_large_to_keep_is_not_sent_again(house):
    house.open({"chat": striking(house, "chat", "oom-crash-at-request")}, limits={"body_memory": "64KiB"})
    answer = ask(house, padding="x" * (1 << 20))
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "out_of_memory"
    assert "x-mgpu-retried" not in answer.headers and house.status()["oom_retries"] == 0
    assert ask(house).status_code == 200


def test_other_errors_of_a_service_pass_as_they_are(house):
    house.open({"chat": house.fake("chat")})
    answer = httpx.get(f"{house.url}/c/chat/v9/nothing")
    assert answer.status_code == 404 and "no such route" in answer.text

"""An external service that loads for somebody who did not ask here: it is noticed, counted, and may be told to leave."""
import socket

import httpx

from house import in_bytes, wait_until


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def open_with_ollama(house, **config):
    """The AI model `small` is there before the daemon looks for the first time."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/generate"
    house.make_gpu("12GiB")
    house.start("--ollama", f"small={in_bytes('4GiB')}", f"big={in_bytes('6GiB')}", "--port", port, program="mgpu-fake-service")
    wait_until(lambda: answers(port), "ollama to be up")
    load_behind_our_back(url, "small")
    house.write_config({"ollama": {"service": "ollama", "url": f"http://127.0.0.1:{port}",
                                   "ai_models": {"small": "4GiB", "big": "6GiB"}, **config}})
    house.start_daemon()
    wait_until(lambda: state_of(house, "small:latest") == "warm", "the first look")
    return url


def answers(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/").is_success
    except httpx.HTTPError:
        return False


def state_of(house, ai_model):
    return next(r["state"] for r in house.consumer("ollama")["residents"] if r["ai_model"] == ai_model)


def load_behind_our_back(url, ai_model):
    assert httpx.post(url, json={"model": ai_model}, timeout=10).json()["done_reason"] == "load"


def test_it_is_seen_and_counted_but_allowed(house):
    url = open_with_ollama(house)
    assert house.consumer("ollama")["loaded_uninvited"] == 0, "what was there before us is no surprise"
    load_behind_our_back(url, "big")
    wait_until(lambda: state_of(house, "big:latest") == "warm", "the newcomer to be seen")
    assert house.consumer("ollama")["loaded_uninvited"] == 1
    wait_until(lambda: house.status()["devices"][0]["memory"]["committed_bytes"] >= 10 << 30, "it to count")


def test_it_is_told_to_leave(house):
    url = open_with_ollama(house, uninvited="leave")
    load_behind_our_back(url, "big")
    wait_until(lambda: any(data["rung"] == "service" for _, data in house.events("evicted")), "the newcomer to leave", 20)
    assert state_of(house, "big:latest") == "cold" and state_of(house, "small:latest") == "warm"
    assert house.consumer("ollama")["loaded_uninvited"] == 1
    assert house.gpus()[0]["used"] == 4 << 30

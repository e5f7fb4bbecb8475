"""An external service loads an AI model for a client that bypasses the daemon: the load is noticed, counted, and undone if
so configured."""
import httpx

from daemon_harness import free_port, parse_size, wait_until


def open_with_ollama(harness, **config):
    """Starts a fake Ollama with the AI model `small` loaded, then the daemon; returns the URL for loads."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/generate"
    harness.make_gpu("12GiB")
    harness.start_program("--ollama", f"small={parse_size('4GiB')}", f"big={parse_size('6GiB')}", "--port", port,
                          program="mgpu-fake-service")
    wait_until(lambda: is_answering(port), "ollama to answer")
    load_directly(url, "small")
    harness.write_config({"ollama": {"service": "ollama", "url": f"http://127.0.0.1:{port}",
                                     "ai_models": {"small": "4GiB", "big": "6GiB"}, **config}})
    harness.start_daemon()
    wait_until(lambda: state_of(harness, "small:latest") == "warm", "the first probe")
    return url


def is_answering(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/").is_success
    except httpx.HTTPError:
        return False


def state_of(harness, ai_model):
    return next(r["state"] for r in harness.consumer("ollama")["residents"] if r["ai_model"] == ai_model)


def load_directly(url, ai_model):
    assert httpx.post(url, json={"model": ai_model}, timeout=10).json()["done_reason"] == "load"


def test_it_is_seen_and_counted_but_allowed(harness):
    url = open_with_ollama(harness)
    assert harness.consumer("ollama")["loaded_uninvited"] == 0, "an AI model loaded before the daemon started does not count"
    load_directly(url, "big")
    wait_until(lambda: state_of(harness, "big:latest") == "warm", "the uninvited load to be noticed")
    assert harness.consumer("ollama")["loaded_uninvited"] == 1
    wait_until(lambda: harness.status()["devices"][0]["memory"]["committed_bytes"] >= 10 << 30, "the load to be committed")


def test_it_is_told_to_leave(harness):
    url = open_with_ollama(harness, uninvited="leave")
    load_directly(url, "big")
    wait_until(lambda: any(data["rung"] == "service" for _, data in harness.events("evicted")),
               "the eviction of the uninvited AI model", 20)
    assert state_of(harness, "big:latest") == "cold" and state_of(harness, "small:latest") == "warm"
    assert harness.consumer("ollama")["loaded_uninvited"] == 1
    assert harness.gpu_states()[0]["used"] == 4 << 30

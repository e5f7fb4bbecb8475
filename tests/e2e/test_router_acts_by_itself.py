"""llama-server's router: AI models that somebody else unloads or loads, and children that crash, are noticed within two
seconds; an unload of what is not running succeeds."""
import os
import pathlib
import signal

import httpx

from daemon_harness import free_port, parse_size, wait_until

SECONDS = 3  # the daemon's two, and one for a busy machine
SIZES = {"small": "4GiB", "big": "6GiB"}


def start(harness, load_ms=0):
    """Starts an external router and the daemon; returns the router's URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    harness.make_gpu("12GiB")
    sizes = [f"{name}={parse_size(size)}" for name, size in SIZES.items()]
    harness.start_program("--llama-router", *sizes, "--children", "--load-ms", load_ms, "--port", port, "--journal",
                          harness.service_journal_file, program="mgpu-fake-service")
    harness.write_config({"router": {"service": "llama-server", "router": True, "url": url, "ai_models": SIZES},
                          "image": harness.fake_consumer("image", "9GiB")})
    harness.start_daemon()
    return url


def state(harness, name):
    return next(r["state"] for r in harness.consumer("router")["residents"] if r["ai_model"] == name)


def wait_for(harness, name, wanted):
    wait_until(lambda: state(harness, name) == wanted, f"{name} to be {wanted}", SECONDS)


def test_an_unload_by_somebody_else_is_seen(harness):
    url = start(harness)
    harness.chat("router/small")
    harness.chat("router/big")
    assert httpx.post(f"{url}/models/unload", json={"model": "small"}).is_success
    wait_for(harness, "small", "cold")
    assert state(harness, "big") == "warm"
    assert harness.chat("image") and not harness.events("eviction_failed", "refused")


def test_a_child_that_crashes_is_seen(harness):
    start(harness)
    harness.chat("router/small")
    pid = next(pid for pid in harness.process_pids()
               if b"--hold" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(pid, signal.SIGKILL)
    wait_for(harness, "small", "cold")
    assert harness.chat("router/small") and not harness.events("lease_ended", "refused")


def test_a_load_by_somebody_else_reserves_its_room(harness):
    url = start(harness, load_ms=3000)
    wait_until(lambda: harness.get("/v1/consumers/router"), "the consumer")
    assert httpx.post(f"{url}/models/load", json={"model": "big"}).is_success
    wait_for(harness, "big", "loading")
    assert harness.status()["devices"][0]["memory"]["committed_bytes"] >= parse_size("6GiB")
    assert harness.chat("router/big") == "answer of big", "a request waits for the load that is in progress"
    assert not harness.events("load")


def test_an_external_router_that_ends_holds_nothing(harness):
    start(harness)
    harness.chat("router/small")
    harness.processes_started[0].kill()
    wait_for(harness, "small", "cold")
    wait_until(lambda: harness.status()["devices"][0]["memory"]["committed_bytes"] == 0, "its bytes to be free", SECONDS)
    assert harness.chat("image") == "answer of image"

"""A service that the daemon does not start: loaded and unloaded by the configuration's requests."""
from daemon_harness import free_port, parse_size


def start_service(harness, name, port, *flags):
    return harness.start_program("--name", name, "--port", port, "--bytes", parse_size("8GiB"),
                                 "--journal", harness.service_journal_file, "--lazy", *flags, program="mgpu-fake-service")


def test_it_is_asked_to_leave_and_to_come_back(harness):
    ports = {name: free_port() for name in ("chat", "image")}
    harness.make_gpu("12GiB")
    for name, port in ports.items():
        start_service(harness, name, port)
    harness.write_config({name: {"footprint": "8GiB", "url": f"http://127.0.0.1:{port}", "load": "POST /load",
                                 "unload": {"request": "POST /unload", "body": "{}"}} for name, port in ports.items()})
    harness.start_daemon()
    for name in ("chat", "image", "chat"):
        assert harness.chat(name) == f"answer of {name}"
    assert harness.state("image") == "cold"
    assert [data["rung"] for _, data in harness.events("evicted")] == ["service", "service"]


def test_one_that_is_not_up_is_a_failed_load_that_says_where_it_looked(harness):
    port = free_port()
    harness.start_with({"chat": {"footprint": "8GiB", "url": f"http://127.0.0.1:{port}", "load_limit": "300ms"},
                        "voice": harness.fake_consumer("voice")})
    answer = harness.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    assert str(port) in answer.json()["error"]["message"]
    assert harness.chat("voice") == "answer of voice"

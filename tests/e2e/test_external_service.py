"""A service that is not ours to start: found warm, unloaded and loaded by the requests of the configuration."""
from house import free_port, in_bytes


def start_service(house, name, port, *flags):
    return house.start("--name", name, "--port", port, "--bytes", in_bytes("8GiB"), "--journal", house.journal_file, "--lazy",
                       *flags, program="mgpu-fake-service")


def test_it_is_asked_to_leave_and_to_come_back(house):
    ports = {name: free_port() for name in ("chat", "image")}
    house.make_gpu("12GiB")
    for name, port in ports.items():
        start_service(house, name, port)
    house.write_config({name: {"footprint": "8GiB", "url": f"http://127.0.0.1:{port}", "load": "POST /load",
                               "unload": {"request": "POST /unload", "body": "{}"}} for name, port in ports.items()})
    house.start_daemon()
    for name in ("chat", "image", "chat"):
        assert house.ask(name) == f"answer of {name}"
    assert house.state("image") == "cold"
    assert [data["rung"] for _, data in house.events("evicted")] == ["service", "service"]


def test_one_that_is_not_up_is_a_failed_load_that_says_where_it_looked(house):
    port = free_port()
    house.open({"chat": {"footprint": "8GiB", "url": f"http://127.0.0.1:{port}", "load_limit": "300ms"},
                "voice": house.fake("voice")})
    answer = house.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    assert str(port) in answer.json()["error"]["message"]
    assert house.ask("voice") == "answer of voice"

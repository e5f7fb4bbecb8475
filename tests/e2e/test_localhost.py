"""`localhost` is both loopback addresses: for the daemon's own address, for services, and in errors."""
import re
import socket
import sys

import pytest

from daemon_harness import free_port
from test_port_owner import STRANGER, has_ipv6

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6")


@needs_ipv6
def test_the_daemon_listens_on_both(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, listen="localhost:0")
    port = int(re.search(r"listening on http://localhost:(\d+)", harness.daemon.output)[1])
    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, port), timeout=10) as connection:
            connection.sendall(b"GET /v1/status HTTP/1.0\r\n\r\n")
            assert connection.recv(12).startswith(b"HTTP/1.")
    assert harness.chat("chat") == "answer of chat"
    assert harness.run_mgpu("status").returncode == 0


@needs_ipv6
def test_a_service_that_listens_on_ipv6_only_is_reached(harness):
    file, port = harness.folder / "stranger.py", free_port()
    file.write_text(STRANGER)
    command = [sys.executable, str(file), "::1", str(port)]
    harness.start_with({"chat": {"footprint": "1GiB", "url": f"http://localhost:{port}", "load_limit": "10s",
                                 "runner": {"process": {"command": command}}}})
    assert harness.post("/v1/chat/completions", {"model": "chat"}).status_code == 200


def test_an_error_names_both_addresses(harness):
    port = free_port()
    harness.start_with({"chat": {"footprint": "1GiB", "url": f"http://localhost:{port}", "load_limit": "300ms"}})
    message = harness.post("/v1/chat/completions", {"model": "chat"}).json()["error"]["message"]
    assert "127.0.0.1: " in message and "[::1]: " in message
    failed = harness.run_mgpu("status", "--url", f"http://localhost:{port}")
    assert failed.returncode != 0 and "127.0.0.1: " in failed.stderr and "[::1]: " in failed.stderr

"""A client may close its sending side after the request and still gets the answer; after a full close its turn is given
back."""
import json
import os
import shutil
import socket
import subprocess
import sys

import pytest

from daemon_harness import wait_until

BODY = json.dumps({"model": "chat", "messages": []}).encode()
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: mgpu\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
REQUEST = HEAD % len(BODY) + BODY


def send_half_closed_request(harness):
    client = socket.create_connection((harness.http_client.base_url.host, harness.http_client.base_url.port), timeout=30)
    client.sendall(REQUEST)
    client.shutdown(socket.SHUT_WR)
    return client


def test_one_that_waits_in_line_gets_its_answer(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=500)})
    clients = [send_half_closed_request(harness) for _ in range(3)]
    for client in clients:
        answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200"), answer
        assert b"answer of chat" in answer


def test_one_that_leaves_after_all_is_seen(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=20_000)})
    client = send_half_closed_request(harness)
    harness.wait_for_ticket(stage="running")
    client.close()
    wait_until(lambda: not harness.tickets(), "the turn to be free", 5)


# --- a client on another machine, which is a network namespace here ---

REMOTE_CLIENT = """
import socket, sys
client = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30)
client.sendall(sys.stdin.buffer.read())
if sys.argv[3] == "listens":
    client.shutdown(socket.SHUT_WR)
    sys.stdout.buffer.write(b"".join(iter(lambda: client.recv(65536), b"")))
"""


@pytest.fixture
def remote_namespace():
    """A function that prefixes a command so that it runs in a network namespace (10.93.7.2; this machine is 10.93.7.1)."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root and `ip` to create a network namespace")
    name = f"mgpu{os.getpid()}"
    setup = [f"ip netns add {name}", f"ip link add {name}a type veth peer name {name}b netns {name}",
             f"ip addr add 10.93.7.1/24 dev {name}a", f"ip link set {name}a up",
             f"ip -n {name} addr add 10.93.7.2/24 dev {name}b", f"ip -n {name} link set {name}b up"]
    try:
        for command in setup:
            if subprocess.run(command.split(), capture_output=True).returncode != 0:
                pytest.skip(f"no permission for: {command}")
        yield lambda *words: ["ip", "netns", "exec", name, *map(str, words)]
    finally:
        subprocess.run(["ip", "link", "del", f"{name}a"], capture_output=True)
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


def start_for_remote(harness, run_ms):
    harness.make_gpu("12GiB")
    harness.write_config({"chat": harness.fake_consumer("chat", run_ms=run_ms)}, listen="10.93.7.1:0")
    harness.start_daemon()
    return harness.http_client.base_url.port


def test_one_on_another_machine_gets_its_answer(harness, remote_namespace):
    port = start_for_remote(harness, 500)
    done = subprocess.run(remote_namespace(sys.executable, "-c", REMOTE_CLIENT, "10.93.7.1", port, "listens"), input=REQUEST,
                          capture_output=True, timeout=30)
    assert b"HTTP/1.1 200" in done.stdout and b"answer of chat" in done.stdout, done


def test_one_on_another_machine_that_leaves_is_seen(harness, remote_namespace):
    port = start_for_remote(harness, 20_000)
    subprocess.run(remote_namespace(sys.executable, "-c", REMOTE_CLIENT, "10.93.7.1", port, "leaves"), input=REQUEST,
                   capture_output=True, timeout=30)
    wait_until(lambda: not harness.tickets(), "the turn to be free", 5)

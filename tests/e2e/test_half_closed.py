"""A client that has said all may close its sending side and still gets its answer; one that left gives its turn back."""
import json
import os
import shutil
import socket
import subprocess
import sys

import pytest

from house import wait_until

BODY = json.dumps({"model": "chat", "messages": []}).encode()
REQUEST = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: mgpu\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY)) + BODY


def asks_half_closed(house):
    client = socket.create_connection((house.http.base_url.host, house.http.base_url.port), timeout=30)
    client.sendall(REQUEST)
    client.shutdown(socket.SHUT_WR)
    return client


def test_one_that_waits_in_line_gets_its_answer(house):
    house.open({"chat": house.fake("chat", run_ms=500)})
    clients = [asks_half_closed(house) for _ in range(3)]
    for client in clients:
        answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200"), answer
        assert b"answer of chat" in answer


def test_one_that_leaves_after_all_is_seen(house):
    house.open({"chat": house.fake("chat", run_ms=20_000)})
    client = asks_half_closed(house)
    house.wait_for_ticket(stage="running")
    client.close()
    wait_until(lambda: not house.line(), "the turn to come back", 5)


# --- on another machine, which is a network namespace here ---

FAR_CLIENT = """
import socket, sys
client = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30)
client.sendall(sys.stdin.buffer.read())
if sys.argv[3] == "listens":
    client.shutdown(socket.SHUT_WR)
    sys.stdout.buffer.write(b"".join(iter(lambda: client.recv(65536), b"")))
"""


@pytest.fixture
def far():
    """Runs a command on the other machine, whose network is 10.93.7.2; this one is 10.93.7.1 there."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("wants root and ip to make a network namespace")
    name = f"mgpu{os.getpid()}"
    setup = [f"ip netns add {name}", f"ip link add {name}a type veth peer name {name}b netns {name}",
             f"ip addr add 10.93.7.1/24 dev {name}a", f"ip link set {name}a up",
             f"ip -n {name} addr add 10.93.7.2/24 dev {name}b", f"ip -n {name} link set {name}b up"]
    try:
        for command in setup:
            if subprocess.run(command.split(), capture_output=True).returncode != 0:
                pytest.skip(f"not allowed here: {command}")
        yield lambda *words: ["ip", "netns", "exec", name, *map(str, words)]
    finally:
        subprocess.run(["ip", "link", "del", f"{name}a"], capture_output=True)
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


def open_far(house, run_ms):
    house.make_gpu("12GiB")
    house.write_config({"chat": house.fake("chat", run_ms=run_ms)}, listen="10.93.7.1:0")
    house.start_daemon()
    return house.http.base_url.port


def test_one_on_another_machine_gets_its_answer(house, far):
    port = open_far(house, 500)
    done = subprocess.run(far(sys.executable, "-c", FAR_CLIENT, "10.93.7.1", port, "listens"), input=REQUEST, capture_output=True,
                          timeout=30)
    assert b"HTTP/1.1 200" in done.stdout and b"answer of chat" in done.stdout, done


def test_one_on_another_machine_that_leaves_is_seen(house, far):
    port = open_far(house, 20_000)
    subprocess.run(far(sys.executable, "-c", FAR_CLIENT, "10.93.7.1", port, "leaves"), input=REQUEST, capture_output=True, timeout=30)
    wait_until(lambda: not house.line(), "the turn to come back", 5)

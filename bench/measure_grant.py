"""The time from a release to the next grant, as two clients see it: one releases its lease, the next one gets its own.

All clients run in one thread, so that both moments use one clock and no other process competes with the daemon for more
than one core. Measured is the time from before the release is sent until the grant has been read.
"""
import json
import selectors
import socket
import time

from bench_environment import BenchEnvironment, percentile
from report import Result

CLIENTS = 32
GRANTS = 4000


class LeaseClient:
    """A connection that requests a lease, releases it at once, and requests the next one."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.holds = False

    def send(self, method, path, body=b""):
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: mgpu\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def request_lease(self):
        self.holds = False
        self.send("POST", "/v1/leases", b'{"consumer": "train"}')

    def release_lease(self, lease):
        self.holds = True  # until the release is answered
        self.send("DELETE", f"/v1/leases/{lease}")

    def read(self):
        """Reads one answer; returns its body."""
        text = self.socket.recv(65536)
        while True:
            head, separator, body = text.partition(b"\r\n\r\n")
            length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
            if separator and len(body) >= length:
                status = int(head.split(b" ")[1])
                if status >= 300:
                    raise RuntimeError(text.decode())
                return json.loads(body) if length else {}
            piece = self.socket.recv(65536)
            if not piece:
                raise RuntimeError("the daemon closed the connection")
            text += piece


def measure():
    waits_ms = []
    with BenchEnvironment() as environment, selectors.DefaultSelector() as ready:
        daemon = environment.daemon({"train": {"footprint": "1GiB"}})
        clients = [LeaseClient(daemon.port) for _ in range(CLIENTS)]
        for client in clients:
            ready.register(client.socket, selectors.EVENT_READ, client)
            client.request_lease()
        released = None
        while len(waits_ms) < GRANTS:
            for key, _ in ready.select(10):
                client, answer = key.data, key.data.read()
                if not client.holds:  # the answer is a grant
                    now = time.perf_counter_ns()
                    if released:
                        waits_ms.append((now - released) / 1e6)
                    released = time.perf_counter_ns()
                    client.release_lease(answer["id"])
                else:
                    client.request_lease()
        for client in clients:
            client.socket.close()
    waits_ms = waits_ms[CLIENTS:]  # the first round includes the device's first readings
    return Result(["release to next grant", "measured", "goal"],
                  [["p50", f"{percentile(waits_ms, 50):.3f} ms", ""], ["p99", f"{percentile(waits_ms, 99):.3f} ms", "under 1 ms"],
                   ["slowest", f"{max(waits_ms):.2f} ms", ""]],
                  f"{CLIENTS} clients in the line, {len(waits_ms):,} leases over HTTP; includes the time of the measuring client.")

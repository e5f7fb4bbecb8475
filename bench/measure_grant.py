"""From a release to the next grant, as two programs see it: one gives its lease back, the next one gets its own.

All holders live in one thread here, so that both moments are on one clock and nobody competes with the daemon for
more than one core. Measured is from before the release is sent until the grant has been read.
"""
import json
import selectors
import socket
import time

from ground import Ground, percentile
from report import Result

PROGRAMS = 32
GRANTS = 4000


class Program:
    """One connection that asks, holds for a moment, gives back, and asks again."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.holds = False

    def send(self, method, path, body=b""):
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: mgpu\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def ask(self):
        self.holds = False
        self.send("POST", "/v1/leases", b'{"consumer": "train"}')

    def give_back(self, lease):
        self.holds = True  # until the answer to this says otherwise
        self.send("DELETE", f"/v1/leases/{lease}")

    def read(self):
        """The body of one answer."""
        text = self.socket.recv(65536)
        while True:
            head, over, body = text.partition(b"\r\n\r\n")
            length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
            if over and len(body) >= length:
                status = int(head.split(b" ")[1])
                if status >= 300:
                    raise RuntimeError(text.decode())
                return json.loads(body) if length else {}
            piece = self.socket.recv(65536)
            if not piece:
                raise RuntimeError("the daemon hung up")
            text += piece


def measure():
    took = []
    with Ground() as ground, selectors.DefaultSelector() as ready:
        daemon = ground.daemon({"train": {"footprint": "1GiB"}})
        programs = [Program(daemon.port) for _ in range(PROGRAMS)]
        for program in programs:
            ready.register(program.socket, selectors.EVENT_READ, program)
            program.ask()
        released = None
        while len(took) < GRANTS:
            for key, _ in ready.select(10):
                program, answer = key.data, key.data.read()
                if not program.holds:  # it does now
                    now = time.perf_counter_ns()
                    if released:
                        took.append((now - released) / 1e6)
                    released = time.perf_counter_ns()
                    program.give_back(answer["id"])
                else:
                    program.ask()
        for program in programs:
            program.socket.close()
    took = took[PROGRAMS:]  # the first round also takes the device's first readings
    return Result(["release to next grant", "measured", "goal"],
                  [["p50", f"{percentile(took, 50):.3f} ms", ""], ["p99", f"{percentile(took, 99):.3f} ms", "under 1 ms"],
                   ["slowest", f"{max(took):.2f} ms", ""]],
                  f"{PROGRAMS} programs in the line, {len(took):,} leases over HTTP, the time of the measuring program included.")

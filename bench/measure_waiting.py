"""The daemon's memory while 200 streams flow and 1,000 requests wait behind them."""
import socket
import threading

from ground import MiB, Ground, call, rss, wait_until
from report import Result

STREAMS = 200
WAITING = 1000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b'data: {"choices": [{"delta": {"content": "and "}}]}\n\n'


class Streaming:
    """A server whose answers go on for as long as the benchmark lasts: one event to each stream every 100 ms."""

    def __init__(self):
        self.streams, self.over = [], threading.Event()
        self.door = socket.create_server(("127.0.0.1", 0), backlog=2 * STREAMS)
        self.port = self.door.getsockname()[1]
        threading.Thread(target=self.welcome, daemon=True).start()
        threading.Thread(target=self.speak, daemon=True).start()

    def welcome(self):
        while not self.over.is_set():
            try:
                connection, _ = self.door.accept()
            except OSError:
                return
            if connection.recv(65536).startswith(b"POST"):
                connection.sendall(HEAD)
                self.streams.append(connection)
            else:  # a look at its health
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                connection.close()

    def speak(self):
        while not self.over.wait(0.1):
            for connection in list(self.streams):
                try:
                    connection.sendall(b"%x\r\n%s\r\n" % (len(EVENT), EVENT))
                except OSError:
                    self.streams.remove(connection)

    def close(self):
        self.over.set()
        self.door.close()


def ask(port, consumer):
    body = b'{"model": "%s", "stream": true, "messages": [{"role": "user", "content": "Tell me all."}]}' % consumer.encode()
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: mgpu\r\nContent-Type: application/json\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return connection


def measure():
    with Ground() as ground:
        server = Streaming()
        ground.callback(server.close)
        there = {"service": "generic", "url": f"http://127.0.0.1:{server.port}", "footprint": "1GiB"}
        daemon = ground.daemon({"streams": {**there, "concurrency": STREAMS}, "waits": there})

        def figures():
            _, status = call(daemon.port, "GET", "/v1/status")
            return status["in_flight"], status["queue_depth"]

        empty = rss(daemon.pid)
        held = [ask(daemon.port, "streams") for _ in range(STREAMS)]
        wait_until(lambda: figures() == (STREAMS, 0), "the streams to flow")
        streaming = rss(daemon.pid)
        held += [ask(daemon.port, "waits") for _ in range(WAITING)]
        wait_until(lambda: figures() == (STREAMS, WAITING), "the line to be full")
        for stream in held[:STREAMS]:  # each has brought something, so all of them flow
            stream.recv(65536)
        full = rss(daemon.pid)
        for connection in held:
            connection.close()
        wait_until(lambda: figures() == (0, 0), "everybody to be gone")
    return Result(["the daemon's resident memory", "measured", "goal"],
                  [["nobody there", f"{empty / MiB:.1f} MiB", ""],
                   [f"{STREAMS} streams", f"{streaming / MiB:.1f} MiB", ""],
                   [f"{STREAMS} streams and {WAITING:,} waiting requests", f"{full / MiB:.1f} MiB", "under 100 MB"]])

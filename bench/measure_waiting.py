"""The daemon's memory with 200 open streams and 1,000 requests waiting behind them."""
import socket
import threading

from bench_environment import BenchEnvironment, MiB, call_api, resident_bytes, wait_until
from report import Result

STREAMS = 200
WAITING = 1000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b'data: {"choices": [{"delta": {"content": "and "}}]}\n\n'


class StreamingServer:
    """A server whose answers last as long as the benchmark: one event to each stream every 100 ms."""

    def __init__(self):
        self.streams, self.stopping = [], threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=2 * STREAMS)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept_streams, daemon=True).start()
        threading.Thread(target=self.send_events, daemon=True).start()

    def accept_streams(self):
        while not self.stopping.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            if connection.recv(65536).startswith(b"POST"):
                connection.sendall(HEAD)
                self.streams.append(connection)
            else:  # a health probe
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                connection.close()

    def send_events(self):
        while not self.stopping.wait(0.1):
            for connection in list(self.streams):
                try:
                    connection.sendall(b"%x\r\n%s\r\n" % (len(EVENT), EVENT))
                except OSError:
                    self.streams.remove(connection)

    def close(self):
        self.stopping.set()
        self.listener.close()


def open_stream(port, consumer):
    body = b'{"model": "%s", "stream": true, "messages": [{"role": "user", "content": "Tell me all."}]}' % consumer.encode()
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: mgpu\r\nContent-Type: application/json\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return connection


def measure():
    with BenchEnvironment() as environment:
        server = StreamingServer()
        environment.callback(server.close)
        service = {"service": "generic", "url": f"http://127.0.0.1:{server.port}", "footprint": "1GiB"}
        daemon = environment.daemon({"streams": {**service, "concurrency": STREAMS}, "waits": service})

        def counts():
            _, status = call_api(daemon.port, "GET", "/v1/status")
            return status["in_flight"], status["queue_depth"]

        empty = resident_bytes(daemon.pid)
        connections = [open_stream(daemon.port, "streams") for _ in range(STREAMS)]
        wait_until(lambda: counts() == (STREAMS, 0), "the streams to be open")
        streaming = resident_bytes(daemon.pid)
        connections += [open_stream(daemon.port, "waits") for _ in range(WAITING)]
        wait_until(lambda: counts() == (STREAMS, WAITING), "the line to be full")
        for stream in connections[:STREAMS]:  # each has delivered an event, so all are open
            stream.recv(65536)
        full = resident_bytes(daemon.pid)
        for connection in connections:
            connection.close()
        wait_until(lambda: counts() == (0, 0), "all connections to be closed")
    return Result(["the daemon's resident memory", "measured", "goal"],
                  [["no connections", f"{empty / MiB:.1f} MiB", ""],
                   [f"{STREAMS} streams", f"{streaming / MiB:.1f} MiB", ""],
                   [f"{STREAMS} streams and {WAITING:,} waiting requests", f"{full / MiB:.1f} MiB", "under 100 MB"]])

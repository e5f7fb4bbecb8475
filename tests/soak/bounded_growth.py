"""Growth test with a million different requests: `./dev million [--requests N]`.

The real daemon with a fake service. Every request uses new names: user, path, `who`, AI model, id. The cost of a request
must not depend on the number of earlier ones: memory, descriptors, size of the store and CPU time per request of an early
part of the run are compared with those of its end.
"""
import argparse
import os
import pathlib
import socket
import sys
import tempfile
import threading

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TREE / "tests/e2e")]

from daemon_harness import BIN, DaemonHarness, MiB

CLIENTS = 8
PARTS = 20  # of the run; the daemon is measured after each
# Small, so that even a short run reaches every limit in its first quarter.
LIMITS = {"events": 1000, "history_rows": 1000, "event_subscribers": 4, "max_queue": 200, "log_lines": 100}
MAX_MEMORY_GROWTH = 6 * MiB
MAX_STORE_GROWTH = 5 * MiB  # SQLite's WAL grows to 4 MiB before it is reused
MAX_SLOWDOWN = 1.5
TICK = os.sysconf("SC_CLK_TCK")


def request(method, path, body=b"", *headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: mgpu", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chat_request(number):
    body = b'{"model":"chat","messages":[],"seed":%d}' % number
    return request("POST", "/v1/chat/completions", body, f"X-Mgpu-User: user-{number}"), 200


def path_request(number):
    return request("POST", f"/c/chat/v1/{'x' * 2000}{number}", b'{"model":"chat","messages":[]}',
                   f"Authorization: Bearer key-{number}"), 200


def unknown_route_request(number):
    return request("GET", f"/nothing/at/{number}"), 404


def unknown_ai_model_request(number):
    return request("POST", "/v1/chat/completions", b'{"model":"none-%d","messages":[]}' % number), 404


def unknown_ai_model_of_service_request(number):
    """For a service that never answers, so that any name may be an AI model of it."""
    return request("GET", f"/v1/explain/next?consumer=silent/name-{number}&user=asker-{number}"), None


def refused_lease_request(number):
    return request("POST", "/v1/leases", b'{"bytes":"999GiB","who":"nobody %d","user":"lessee-%d"}' % (number, number)), 507


def unknown_lease_request(number):
    return request("DELETE", f"/v1/leases/{number + 10**12}"), 404


REQUEST_KINDS = [chat_request, path_request, chat_request, unknown_route_request, unknown_ai_model_request,
                 refused_lease_request, unknown_lease_request, unknown_ai_model_of_service_request]


class Connection:
    def __init__(self, url):
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.buffer = b""

    def send_request(self, request_bytes):
        """Sends one request and reads its answer; returns the status."""
        self.socket.sendall(request_bytes)
        while b"\r\n\r\n" not in self.buffer:
            self.receive_more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), None)
        if length is None:  # chunked
            while not (self.buffer.endswith(b"0\r\n\r\n")):
                self.receive_more()
            self.buffer = b""
        else:
            while len(self.buffer) < length:
                self.receive_more()
            self.buffer = self.buffer[length:]
        return int(lines[0].split()[1])

    def receive_more(self):
        received = self.socket.recv(1 << 16)
        if not received:
            raise ConnectionError("the daemon closed the connection")
        self.buffer += received


class GrowthTest:
    def __init__(self, harness, requests):
        self.harness, self.requests = harness, requests
        self.errors, self.parts = [], []

    def run(self):
        self.start()
        for part in range(PARTS):
            begin = self.cpu_seconds()
            first, last = self.requests * part // PARTS, self.requests * (part + 1) // PARTS
            clients = [threading.Thread(target=self.send_requests, args=(range(first + i, last, CLIENTS),))
                       for i in range(CLIENTS)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            self.parts.append({"cpu": (self.cpu_seconds() - begin) / max(last - first, 1), "rss": self.resident_memory(),
                               "descriptors": self.descriptors(), "file": self.store_size()})
            print(self.progress_line(last), flush=True)
        return self.complaints()

    def start(self):
        command = [BIN / "mgpu-fake-service", "--name", "chat", "--port", "${PORT}", "--bytes", "1073741824"]
        consumers = {"chat": {"footprint": "1GiB", "service": "generic", "concurrency": 16,
                              "runner": {"process": {"command": [str(word) for word in command]}}},
                     "silent": {"footprint": "1GiB", "service": "ollama", "url": "http://127.0.0.1:9"}}
        self.harness.start_with(consumers, limits=LIMITS)

    def send_requests(self, numbers):
        try:
            connection = Connection(self.harness.url)
            for number in numbers:
                kind = REQUEST_KINDS[number % len(REQUEST_KINDS)]
                request_bytes, expected = kind(number)
                status = connection.send_request(request_bytes)
                if expected not in (None, status):
                    self.errors.append(f"{kind.__name__} {number} was answered with {status}")
            connection.socket.close()
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")

    # --- the daemon's resources ---

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.harness.daemon.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident_memory(self):
        for line in pathlib.Path(f"/proc/{self.harness.daemon.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.harness.daemon.pid}/fd"))

    def store_size(self):
        return sum(file.stat().st_size for file in self.harness.state_file.parent.glob("mgpu.db*"))

    def progress_line(self, sent):
        part = self.parts[-1]
        return (f"million: {sent:>9} requests, {part['cpu'] * 1e6:6.0f} us of CPU time each, {part['rss'] / MiB:6.1f} MiB, "
                f"{part['descriptors']} descriptors, store {part['file'] / MiB:.1f} MiB")

    def complaints(self):
        """What grew between the second quarter of the run, when every limit was reached, and the last quarter."""
        early, late = self.parts[PARTS // 4:PARTS // 2], self.parts[-PARTS // 4:]

        def highest(parts, key):
            return max(part[key] for part in parts)

        complaints = self.errors[:10]
        if highest(late, "rss") > highest(early, "rss") + MAX_MEMORY_GROWTH:
            complaints.append(f"memory grew from {highest(early, 'rss') / MiB:.1f} to {highest(late, 'rss') / MiB:.1f} MiB")
        if highest(late, "descriptors") > highest(early, "descriptors") + CLIENTS:
            complaints.append(f"descriptors grew from {highest(early, 'descriptors')} to {highest(late, 'descriptors')}")
        if highest(late, "file") > highest(early, "file") + MAX_STORE_GROWTH:
            complaints.append(f"the store grew from {highest(early, 'file') / MiB:.1f} to {highest(late, 'file') / MiB:.1f} MiB")
        before, after = (sorted(part["cpu"] for part in parts)[0] for parts in (early, late))
        if after > before * MAX_SLOWDOWN:
            complaints.append(f"the CPU time per request grew from {before * 1e6:.0f} to {after * 1e6:.0f} us")
        status = self.harness.status()
        if status["line"]:
            complaints.append(f"{len(status['line'])} tickets did not end")
        return complaints


def main():
    parser = argparse.ArgumentParser(prog="./dev million", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mgpu-million-") as folder:
        harness = DaemonHarness(pathlib.Path(folder))
        growth_test = GrowthTest(harness, options.requests)
        try:
            complaints = growth_test.run()
        finally:
            leftovers = harness.stop_and_check()
    for complaint in complaints + leftovers:
        print(f"million: {complaint}")
    print(f"million: {options.requests} requests: {'FAILED' if complaints + leftovers else 'passed'}")
    return 1 if complaints + leftovers else 0


if __name__ == "__main__":
    sys.exit(main())

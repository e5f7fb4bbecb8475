"""A million requests that have nothing in common: `./dev million [--requests N]`.

The real daemon with a fake service behind it. Every request brings a name that was never heard before: a user, a path, who
asks, an AI model, an id. What they cost must not depend on how many came before: memory, descriptors, the file of the store and
the daemon's processor time for each request are compared between an early part of the run and its end.
"""
import argparse
import os
import pathlib
import socket
import sys
import tempfile
import threading
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TREE / "tests/e2e")]

from daemon_harness import BIN, DaemonHarness, MiB

CLIENTS = 8
PARTS = 20  # of the run; what is measured at the end of each
# Small, so that all that is bounded has reached its bound in the first quarter of a short run.
LIMITS = {"events": 1000, "history_rows": 1000, "event_subscribers": 4, "max_queue": 200, "log_lines": 100}
MORE_MEMORY = 6 * MiB
MORE_FILE = 5 * MiB  # the log of the store is as large as 4 MiB before it begins anew
SLOWER = 1.5
TICK = os.sysconf("SC_CLK_TCK")


def request(method, path, body=b"", *headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: mgpu", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chat(number):
    body = b'{"model":"chat","messages":[],"seed":%d}' % number
    return request("POST", "/v1/chat/completions", body, f"X-Mgpu-User: user-{number}"), 200


def path(number):
    return request("POST", f"/c/chat/v1/{'x' * 2000}{number}", b'{"model":"chat","messages":[]}',
                   f"Authorization: Bearer key-{number}"), 200


def nowhere(number):
    return request("GET", f"/nothing/at/{number}"), 404


def no_such_model(number):
    return request("POST", "/v1/chat/completions", b'{"model":"none-%d","messages":[]}' % number), 404


def ai_model(number):
    """Of a service that was never heard, so that it might have any."""
    return request("GET", f"/v1/explain/next?consumer=silent/name-{number}&user=asker-{number}"), None


def refused_lease(number):
    return request("POST", "/v1/leases", b'{"bytes":"999GiB","who":"nobody %d","user":"lessee-%d"}' % (number, number)), 507


def no_such_lease(number):
    return request("DELETE", f"/v1/leases/{number + 10**12}"), 404


KINDS = [chat, path, chat, nowhere, no_such_model, refused_lease, no_such_lease, ai_model]


class Connection:
    def __init__(self, url):
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.rest = b""

    def ask(self, text):
        """The answer's status."""
        self.socket.sendall(text)
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), None)
        if length is None:  # chunked
            while not (self.rest.endswith(b"0\r\n\r\n")):
                self.more()
            self.rest = b""
        else:
            while len(self.rest) < length:
                self.more()
            self.rest = self.rest[length:]
        return int(lines[0].split()[1])

    def more(self):
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise ConnectionError("the daemon closed the connection")
        self.rest += piece


class Million:
    def __init__(self, harness, requests):
        self.harness, self.requests = harness, requests
        self.wrong, self.parts = [], []

    def run(self):
        self.start()
        for part in range(PARTS):
            begin = self.cpu_seconds()
            first, last = self.requests * part // PARTS, self.requests * (part + 1) // PARTS
            clients = [threading.Thread(target=self.ask_all, args=(range(first + i, last, CLIENTS),)) for i in range(CLIENTS)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            self.parts.append({"cpu": (self.cpu_seconds() - begin) / max(last - first, 1), "rss": self.memory(),
                               "descriptors": self.descriptors(), "file": self.store_size()})
            print(self.line(last), flush=True)
        return self.complaints()

    def start(self):
        command = [BIN / "mgpu-fake-service", "--name", "chat", "--port", "${PORT}", "--bytes", "1073741824"]
        consumers = {"chat": {"footprint": "1GiB", "service": "generic", "concurrency": 16,
                              "runner": {"process": {"command": [str(word) for word in command]}}},
                     "silent": {"footprint": "1GiB", "service": "ollama", "url": "http://127.0.0.1:9"}}
        self.harness.start_with(consumers, limits=LIMITS)

    def ask_all(self, numbers):
        try:
            connection = Connection(self.harness.url)
            for number in numbers:
                kind = KINDS[number % len(KINDS)]
                text, expected = kind(number)
                status = connection.ask(text)
                if expected not in (None, status):
                    self.wrong.append(f"{kind.__name__} {number} was answered with {status}")
            connection.socket.close()
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}")

    # --- what the daemon takes ---

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.harness.daemon.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self):
        for line in pathlib.Path(f"/proc/{self.harness.daemon.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.harness.daemon.pid}/fd"))

    def store_size(self):
        return sum(file.stat().st_size for file in self.harness.state_file.parent.glob("mgpu.db*"))

    def line(self, asked):
        part = self.parts[-1]
        return (f"million: {asked:>9} requests, {part['cpu'] * 1e6:6.0f} us of processor time each, {part['rss'] / MiB:6.1f} MiB, "
                f"{part['descriptors']} descriptors, store {part['file'] / MiB:.1f} MiB")

    def complaints(self):
        """What grew between the second quarter of the run, when all bounds were reached, and the last one."""
        early, late = self.parts[PARTS // 4:PARTS // 2], self.parts[-PARTS // 4:]

        def highest(parts, key):
            return max(part[key] for part in parts)

        found = self.wrong[:10]
        if highest(late, "rss") > highest(early, "rss") + MORE_MEMORY:
            found.append(f"memory grew from {highest(early, 'rss') / MiB:.1f} to {highest(late, 'rss') / MiB:.1f} MiB")
        if highest(late, "descriptors") > highest(early, "descriptors") + CLIENTS:
            found.append(f"descriptors grew from {highest(early, 'descriptors')} to {highest(late, 'descriptors')}")
        if highest(late, "file") > highest(early, "file") + MORE_FILE:
            found.append(f"the store grew from {highest(early, 'file') / MiB:.1f} to {highest(late, 'file') / MiB:.1f} MiB")
        before, after = (sorted(part["cpu"] for part in parts)[0] for parts in (early, late))
        if after > before * SLOWER:
            found.append(f"a request's processor time grew from {before * 1e6:.0f} to {after * 1e6:.0f} us")
        status = self.harness.status()
        if status["line"]:
            found.append(f"{len(status['line'])} tickets are left")
        return found


def main():
    parser = argparse.ArgumentParser(prog="./dev million", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mgpu-million-") as folder:
        harness = DaemonHarness(pathlib.Path(folder))
        million = Million(harness, options.requests)
        try:
            found = million.run()
        finally:
            left = harness.stop_and_check()
    for complaint in found + left:
        print(f"million: {complaint}")
    print(f"million: {options.requests} requests: {'FAILED' if found + left else 'passed'}")
    return 1 if found + left else 0


if __name__ == "__main__":
    sys.exit(main())

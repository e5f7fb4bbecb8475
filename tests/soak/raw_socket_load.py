"""A load of raw sockets with the behaviour of real clients: `./dev soak --clients 1000 --seconds 600`.

Each client sends requests on a raw socket: at once, in chunks, in pieces, pipelined. It closes at any moment, by FIN or
by RST, stops within its body, closes only its sending side, or reads its stream slowly. Meanwhile services crash, run out
of memory and break off their answers. At the end every complete request whose client stayed has exactly one answer: a
correct one, a clear error, or a stream that was visibly cut. No request runs or waits, and the daemon has as many
descriptors as before.
"""
import asyncio
import collections
import json
import pathlib
import random
import socket
import struct
import sys
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TREE / "tests/e2e"), str(TREE / "tests/soak")]

import leak_checks
from daemon_harness import DaemonHarness, MiB, wait_until

ANSWER_SECONDS = 60
RSS_GROWTH = 64 * MiB
STATUSES = {200, 408, 429, 502, 503, 504, 507}
LIMITS = {"connections_per_address": 4096, "max_queue": 4000, "wait_limit": "20s", "room_limit": "5s", "stall_limit": "2s",
          "history_rows": 1000, "events": 1000, "reading_age": "200ms"}


class MalformedAnswer(Exception):
    """The received bytes are no valid answer; the text says why."""


async def read_answer(reader, pause=0.0):
    """Reads one answer strictly: (status, body), or (status, None) if it was cut. Raises MalformedAnswer."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise MalformedAnswer(f"no answer: {error!r}") from None
    first, *lines = head.split("\r\n")[:-2]
    if not first.startswith("HTTP/1.1 ") or not first[9:12].isdigit():
        raise MalformedAnswer(f"no status line: {first!r}")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
    body = b""
    try:
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
                await asyncio.sleep(pause)
            await reader.readexactly(2)
        else:
            raise MalformedAnswer(f"an answer without a length: {head!r}")
    except (asyncio.IncompleteReadError, ConnectionError):
        return int(first[9:12]), None
    except ValueError as error:
        raise MalformedAnswer(f"broken framing: {error}, after {body[-100:]!r}") from None
    return int(first[9:12]), body


class RawSocketLoad:
    def __init__(self, harness, seed, models):
        self.harness, self.seed, self.models = harness, seed, models
        self.address = (harness.url.split("/")[2].split(":")[0], int(harness.url.rsplit(":", 1)[1]))
        self.outcomes = collections.Counter()
        self.complaints = []
        self.stopping = False
        self.requests_sent = 0

    def request(self, rng, stream=False, chunked=False):
        self.requests_sent += 1
        body = json.dumps({"model": rng.choice(self.models), "messages": [], "stream": stream,
                           "run_ms": rng.choice([0, 1, 5, 20]), "padding": "x" * rng.choice([0, 100, 20_000])}).encode()
        head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: mgpu\r\nContent-Type: application/json\r\n"
                f"X-Mgpu-User: u{rng.randrange(100)}\r\n")
        if not chunked:
            return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        parts = b"".join(f"{len(body[i:i + 777]):x}\r\n".encode() + body[i:i + 777] + b"\r\n" for i in range(0, len(body), 777))
        return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"

    # --- the behaviours of clients; each is one connection ---

    async def send_and_wait(self, rng, reader, writer):
        for _ in range(rng.randint(1, 4)):
            stream = rng.random() < 0.3
            writer.write(self.request(rng, stream, chunked=rng.random() < 0.3))
            if not await self.check_answer(reader):
                return

    async def send_in_pieces(self, rng, reader, writer):
        request = self.request(rng, chunked=rng.random() < 0.5)
        while request:
            n = rng.randint(1, len(request))
            writer.write(request[:n])
            request = request[n:]
            await asyncio.sleep(rng.random() * 0.05)
        await self.check_answer(reader)

    async def send_pipelined(self, rng, reader, writer):
        writer.write(self.request(rng) + self.request(rng, stream=True))
        if await self.check_answer(reader):
            await self.check_answer(reader)

    async def read_slowly(self, rng, reader, writer):
        writer.write(self.request(rng, stream=True))
        await self.check_answer(reader, pause=0.02)

    async def half_close(self, rng, reader, writer):
        writer.write(self.request(rng, stream=rng.random() < 0.5))
        await writer.drain()
        writer.write_eof()
        await self.check_answer(reader)

    async def disconnect(self, rng, reader, writer):
        writer.write(self.request(rng, stream=rng.random() < 0.5))
        await asyncio.sleep(rng.random() * 0.5)
        self.outcomes["disconnected"] += 1

    async def disconnect_in_body(self, rng, reader, writer):
        request = self.request(rng, chunked=rng.random() < 0.5)
        writer.write(request[:rng.randrange(1, len(request))])
        await asyncio.sleep(rng.random() * 0.5)
        self.outcomes["disconnected"] += 1

    async def stall_in_body(self, rng, reader, writer):
        writer.write(self.request(rng)[:-1])
        status, _ = await asyncio.wait_for(read_answer(reader), ANSWER_SECONDS)
        if status not in (408, 429):
            self.complaints.append(f"an incomplete body was answered with {status}")
        self.outcomes[status] += 1

    CLIENT_BEHAVIOURS = [(send_and_wait, 6), (send_in_pieces, 2), (send_pipelined, 2), (read_slowly, 1), (half_close, 2),
                         (disconnect, 4), (disconnect_in_body, 2), (stall_in_body, 0.2)]

    async def check_answer(self, reader, pause=0.0):
        """Reads and counts one answer; whether the connection can be used further."""
        status, body = await asyncio.wait_for(read_answer(reader, pause), ANSWER_SECONDS)
        if status not in STATUSES:
            self.complaints.append(f"answered with {status}: {body!r}"[:300])
        elif body is None and status != 200:
            self.complaints.append(f"an error that was cut: {status}")
        elif status != 200:
            error = json.loads(body)["error"]
            if not error["message"]:
                self.complaints.append(f"an error without a message: {status}")
            status = f"{status} {error['code']}"
        self.outcomes[f"{status} cut" if body is None else status] += 1
        return body is not None

    async def client(self, number):
        rng = random.Random(f"{self.seed} {number}")
        behaviours, weights = zip(*self.CLIENT_BEHAVIOURS)
        while not self.stopping:
            reader, writer = await asyncio.open_connection(*self.address)
            behaviour = rng.choices(behaviours, weights)[0]
            try:
                await behaviour(self, rng, reader, writer)
            except (MalformedAnswer, asyncio.TimeoutError, ConnectionError) as error:
                self.complaints.append(f"{behaviour.__name__}: {error!r}")
            if rng.random() < 0.5:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.close()
            await asyncio.sleep(rng.random() * 0.2)

    async def inject_faults(self, faults):
        rng = random.Random(f"{self.seed} faults")
        while not self.stopping:
            await asyncio.sleep(0.5 + rng.random())
            rng.choice(faults).write_text(rng.choice(["crash-at-request", "crash-in-stream", "oom-at-request", "crash-at-load"]))

    async def run_clients(self, clients, seconds, faults):
        tasks = [asyncio.create_task(self.client(n)) for n in range(clients)]
        tasks.append(asyncio.create_task(self.inject_faults(faults)))
        await asyncio.sleep(seconds)
        self.stopping = True
        done, unfinished = await asyncio.wait(tasks, timeout=ANSWER_SECONDS + 20)
        for task in done:
            task.result()
        if unfinished:
            self.complaints.append(f"{len(unfinished)} clients did not end")


def run(clients, seconds, seed):
    """Runs the load and prints a summary; returns complaints."""
    with tempfile.TemporaryDirectory(prefix="mgpu-soak-") as folder:
        harness = DaemonHarness(pathlib.Path(folder))
        try:
            complaints = run_load(harness, clients, seconds, seed)
        finally:
            leftovers = harness.stop_and_check()
        return complaints + leftovers


def run_load(harness, clients, seconds, seed):
    faults = [harness.folder / f"faults-{name}" for name in ("chat", "code", "draw")]
    consumers = {}
    for name, footprint, path in zip(("chat", "code", "draw"), ("4GiB", "5GiB", "6GiB"), faults):
        consumers[name] = harness.fake_consumer(name, footprint, working="256MiB", load_ms=20,
                                                flags=["--faults", path], concurrency=8)
    harness.refusals_allowed = True  # the injected faults of services do that
    harness.start_with(consumers, gpu="12GiB", policy="affinity", limits=LIMITS)
    for name in consumers:
        harness.post(f"/v1/consumers/{name}/load")
    pid = harness.daemon.child.pid
    load = RawSocketLoad(harness, seed, list(consumers))
    asyncio.run(load.run_clients(min(clients, 20), 1, faults))  # allocates what stays for the whole run
    wait_until(lambda: is_idle(harness), "the warm-up to end", 30)
    before, memory = sum(leak_checks.open_descriptors(pid).values()), leak_checks.resident_memory(pid)
    load = RawSocketLoad(harness, seed, list(consumers))
    begin = time.monotonic()
    asyncio.run(load.run_clients(clients, seconds, faults))
    complaints = load.complaints
    try:
        wait_until(lambda: is_idle(harness), "all requests to end", 30)
        wait_until(lambda: sum(leak_checks.open_descriptors(pid).values()) <= before + 8, "the descriptors to be closed", 20)
    except AssertionError as error:
        complaints.append(f"{error}: {json.dumps(harness.status())[:2000]}; {leak_checks.open_descriptors(pid)} (was {before})")
    growth = leak_checks.resident_memory(pid) - memory
    if growth > RSS_GROWTH:
        complaints.append(f"the daemon grew by {growth // MiB} MiB")
    if harness.daemon.child.poll() is not None:
        complaints.append(f"the daemon ended: {harness.daemon.output[-3000:]}")
    print(f"soak: {clients} clients, {time.monotonic() - begin:.0f} s, {load.requests_sent} requests, "
          f"{dict(sorted(load.outcomes.items(), key=str))}, {growth / MiB:+.1f} MiB", flush=True)
    return complaints


def is_idle(harness):
    status = harness.status()
    return status["in_flight"] == 0 and status["queue_depth"] == 0

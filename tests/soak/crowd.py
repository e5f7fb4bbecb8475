"""Many clients that behave as clients do: `./dev soak --clients 1000 --seconds 600`.

Each is a raw socket that asks again and again: whole, in chunks, in pieces, pipelined; hangs up at any moment, by FIN or
by RST; leaves its body half sent; closes its sending side and listens; reads its stream slowly. Meanwhile services crash,
refuse memory and break off. In the end every request that was complete and whose client stayed has had exactly one
answer: a proper one, a clear error, or a stream that was visibly cut. Nobody is in flight, nobody waits, and the daemon
has as many descriptors as before.
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

import audit
from daemon_harness import DaemonHarness, MiB, wait_until

ANSWER_SECONDS = 60
RSS_GROWTH = 64 * MiB
STATUSES = {200, 408, 429, 502, 503, 504, 507}
LIMITS = {"connections_per_address": 4096, "max_queue": 4000, "wait_limit": "20s", "room_limit": "5s", "stall_limit": "2s",
          "history_rows": 1000, "events": 1000, "reading_age": "200ms"}


class Broken(Exception):
    """What a client got is no answer; the text says why."""


async def read_answer(reader, pause=0.0):
    """One answer, read strictly: (status, body), or (status, None) where it was cut. Raises Broken."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise Broken(f"no answer: {error!r}") from None
    first, *lines = head.split("\r\n")[:-2]
    if not first.startswith("HTTP/1.1 ") or not first[9:12].isdigit():
        raise Broken(f"no status line: {first!r}")
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
            raise Broken(f"an answer without a length: {head!r}")
    except (asyncio.IncompleteReadError, ConnectionError):
        return int(first[9:12]), None
    except ValueError as error:
        raise Broken(f"broken framing: {error}, after {body[-100:]!r}") from None
    return int(first[9:12]), body


class Crowd:
    def __init__(self, harness, dice, models):
        self.harness, self.dice, self.models = harness, dice, models
        self.address = (harness.url.split("/")[2].split(":")[0], int(harness.url.rsplit(":", 1)[1]))
        self.outcomes = collections.Counter()
        self.complaints = []
        self.over = False
        self.asked = 0

    def request(self, dice, stream=False, chunked=False):
        self.asked += 1
        body = json.dumps({"model": dice.choice(self.models), "messages": [], "stream": stream, "run_ms": dice.choice([0, 1, 5, 20]),
                           "padding": "x" * dice.choice([0, 100, 20_000])}).encode()
        head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: crowd\r\nContent-Type: application/json\r\n"
                f"X-Mgpu-User: u{dice.randrange(100)}\r\n")
        if not chunked:
            return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        parts = b"".join(f"{len(body[i:i + 777]):x}\r\n".encode() + body[i:i + 777] + b"\r\n" for i in range(0, len(body), 777))
        return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"

    # --- what a client may do; each is one connection ---

    async def asks_and_waits(self, dice, reader, writer):
        for _ in range(dice.randint(1, 4)):
            stream = dice.random() < 0.3
            writer.write(self.request(dice, stream, chunked=dice.random() < 0.3))
            if not await self.judged(reader):
                return

    async def asks_in_pieces(self, dice, reader, writer):
        request = self.request(dice, chunked=dice.random() < 0.5)
        while request:
            n = dice.randint(1, len(request))
            writer.write(request[:n])
            request = request[n:]
            await asyncio.sleep(dice.random() * 0.05)
        await self.judged(reader)

    async def asks_twice_at_once(self, dice, reader, writer):
        writer.write(self.request(dice) + self.request(dice, stream=True))
        if await self.judged(reader):
            await self.judged(reader)

    async def reads_slowly(self, dice, reader, writer):
        writer.write(self.request(dice, stream=True))
        await self.judged(reader, pause=0.02)

    async def closes_its_half(self, dice, reader, writer):
        writer.write(self.request(dice, stream=dice.random() < 0.5))
        await writer.drain()
        writer.write_eof()
        await self.judged(reader)

    async def leaves(self, dice, reader, writer):
        writer.write(self.request(dice, stream=dice.random() < 0.5))
        await asyncio.sleep(dice.random() * 0.5)
        self.outcomes["left"] += 1

    async def leaves_half_a_body(self, dice, reader, writer):
        request = self.request(dice, chunked=dice.random() < 0.5)
        writer.write(request[:dice.randrange(1, len(request))])
        await asyncio.sleep(dice.random() * 0.5)
        self.outcomes["left"] += 1

    async def sends_half_and_waits(self, dice, reader, writer):
        writer.write(self.request(dice)[:-1])
        status, _ = await asyncio.wait_for(read_answer(reader), ANSWER_SECONDS)
        if status not in (408, 429):
            self.complaints.append(f"half a body was answered with {status}")
        self.outcomes[status] += 1

    WAYS = [("asks_and_waits", 6), ("asks_in_pieces", 2), ("asks_twice_at_once", 2), ("reads_slowly", 1),
            ("closes_its_half", 2), ("leaves", 4), ("leaves_half_a_body", 2), ("sends_half_and_waits", 0.2)]

    async def judged(self, reader, pause=0.0):
        """Takes the answer to one request into account; whether the connection may go on."""
        status, body = await asyncio.wait_for(read_answer(reader, pause), ANSWER_SECONDS)
        if status not in STATUSES:
            self.complaints.append(f"answered with {status}: {body!r}"[:300])
        elif body is None and status != 200:
            self.complaints.append(f"an error that was cut: {status}")
        elif status != 200:
            error = json.loads(body)["error"]
            if not error["message"]:
                self.complaints.append(f"an error without words: {status}")
            status = f"{status} {error['code']}"
        self.outcomes[f"{status} cut" if body is None else status] += 1
        return body is not None

    async def client(self, number):
        dice = random.Random(f"{self.dice} {number}")
        ways, weights = zip(*self.WAYS)
        while not self.over:
            reader, writer = await asyncio.open_connection(*self.address)
            way = dice.choices(ways, weights)[0]
            try:
                await getattr(self, way)(dice, reader, writer)
            except (Broken, asyncio.TimeoutError, ConnectionError) as error:
                self.complaints.append(f"{way}: {error!r}")
            if dice.random() < 0.5:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.close()
            await asyncio.sleep(dice.random() * 0.2)

    async def troubles(self, faults):
        dice = random.Random(f"{self.dice} troubles")
        while not self.over:
            await asyncio.sleep(0.5 + dice.random())
            dice.choice(faults).write_text(dice.choice(["crash-at-request", "crash-in-stream", "oom-at-request", "crash-at-load"]))

    async def live(self, clients, seconds, faults):
        tasks = [asyncio.create_task(self.client(n)) for n in range(clients)]
        tasks.append(asyncio.create_task(self.troubles(faults)))
        await asyncio.sleep(seconds)
        self.over = True
        done, late = await asyncio.wait(tasks, timeout=ANSWER_SECONDS + 20)
        for task in done:
            task.result()
        if late:
            self.complaints.append(f"{len(late)} clients are still at it")


def run(clients, seconds, seed):
    """Complaints; prints a summary."""
    with tempfile.TemporaryDirectory(prefix="mgpu-crowd-") as folder:
        harness = DaemonHarness(pathlib.Path(folder))
        try:
            complaints = lived(harness, clients, seconds, seed)
        finally:
            left = harness.stop_and_check()
        return complaints + left


def lived(harness, clients, seconds, seed):
    faults = [harness.folder / f"faults-{name}" for name in ("chat", "code", "draw")]
    consumers = {}
    for name, footprint, path in zip(("chat", "code", "draw"), ("4GiB", "5GiB", "6GiB"), faults):
        consumers[name] = harness.fake_consumer(name, footprint, working="256MiB", load_ms=20, flags=["--faults", path], concurrency=8)
    harness.refusals_allowed = True  # a service that says so by order
    harness.start_with(consumers, gpu="12GiB", policy="affinity", limits=LIMITS)
    for name in consumers:
        harness.post(f"/v1/consumers/{name}/load")
    pid = harness.daemon.child.pid
    crowd = Crowd(harness, seed, list(consumers))
    asyncio.run(crowd.live(min(clients, 20), 1, faults))  # everything that is kept for ever is there now
    wait_until(lambda: at_rest(harness), "the first few to be through", 30)
    before, memory = sum(audit.descriptors(pid).values()), audit.resident_memory(pid)
    crowd = Crowd(harness, seed, list(consumers))
    begin = time.monotonic()
    asyncio.run(crowd.live(clients, seconds, faults))
    complaints = crowd.complaints
    try:
        wait_until(lambda: at_rest(harness), "nobody in flight and nobody waiting", 30)
        wait_until(lambda: sum(audit.descriptors(pid).values()) <= before + 8, "the descriptors to be back", 20)
    except AssertionError as error:
        complaints.append(f"{error}: {json.dumps(harness.status())[:2000]}; {audit.descriptors(pid)} (was {before})")
    growth = audit.resident_memory(pid) - memory
    if growth > RSS_GROWTH:
        complaints.append(f"the daemon grew by {growth // MiB} MiB")
    if harness.daemon.child.poll() is not None:
        complaints.append(f"the daemon is gone: {harness.daemon.output[-3000:]}")
    print(f"crowd: {clients} clients, {time.monotonic() - begin:.0f} s, {crowd.asked} requests, "
          f"{dict(sorted(crowd.outcomes.items(), key=str))}, {growth / MiB:+.1f} MiB", flush=True)
    return complaints


def at_rest(harness):
    status = harness.status()
    return status["in_flight"] == 0 and status["queue_depth"] == 0

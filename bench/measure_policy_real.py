"""The model of bench/policy held against reality: the same people, twenty times as fast, through the real daemon.

Each consumer is a real process (tests/fakes) that takes its bytes of the simulated GPU, loads and works as long as the
household says; people are connections. What loads took is read from the daemon's own journal, and `mgpu simulate`
lives through the same table with it. Households at a time, each with its own daemon: they mostly sleep.
"""
import asyncio
import contextlib
import csv
import io
import json
import re
import subprocess

from ground import BIN, Ground, call, wait_until
from report import Result

FASTER = 20
SECONDS = 90  # of ours; half an hour of theirs
USUAL_WAIT = 1.5  # of ours: so much later, as a guess, each next step of a flow comes
POLICIES = ["fifo", "affinity"]
TRACES = ["voice", "agents", "independent"]
GiB = 1 << 30
# As bench/policy/households.cc has them: footprint and working in GiB, seconds to load.
CONSUMERS = {"stt": (3, 0.3, 4), "chat": (9, 1, 12), "tts": (2.5, 0.3, 4), "coder": (17, 1.5, 20), "embed": (1.5, 0.2, 3),
             "vision": (8, 1, 11), "image": (12, 2, 15)}


def scaled(trace):
    """The table of a household, faster and cut: flows of (time or pause, consumer, seconds). Both worlds go through the
    same table to its end, so where the cut is does not matter to the comparison."""
    text = subprocess.run([BIN / "mgpu-bench-policy", "--csv", trace], check=True, capture_output=True, text=True).stdout
    flows = {}
    for number, row in enumerate(csv.DictReader(io.StringIO(text))):
        flows.setdefault(row["flow"] or number, []).append(
            (float(row["time"]) / FASTER, row["consumer"], float(row["seconds"]) / FASTER))
    for flow in flows.values():
        at, kept = 0, []
        for time, consumer, seconds in flow:
            at += time
            if at > SECONDS:
                break
            kept.append((time, consumer, seconds))
            at += seconds + USUAL_WAIT
        yield kept


def as_csv(flows):
    lines = ["time,consumer,seconds,flow"]
    for number, flow in enumerate(flows):
        lines += [f"{time:.6f},{consumer},{seconds:.6f},f{number}" for time, consumer, seconds in flow]
    return "\n".join(lines) + "\n"


def config(policy):
    def consumer(name):
        footprint, working, load = CONSUMERS[name]
        command = [BIN / "mgpu-fake-service", "--name", name, "--port", "${PORT}", "--lazy", "--bytes", int(footprint * GiB),
                   "--working", int(working * GiB), "--load-ms", int(load * 1000 / FASTER)]
        return {"footprint": f"{int(footprint * 1024)}MiB", "working": f"{int(working * 1024)}MiB", "service": "generic",
                "load": "POST /load", "unload": "POST /unload",
                "runner": {"process": {"command": [str(word) for word in command]}}}

    return {"consumers": {name: consumer(name) for name in CONSUMERS}, "policy": policy,
            "gpu": {"sample_busy": "10ms"}, "limits": {"events": 1_000_000}}


async def ask(port, consumer, seconds):
    """One request; how long it waited, by the daemon's own account."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"model": consumer, "messages": [], "run_ms": round(seconds * 1000)}).encode()
    writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nHost: mgpu\r\nConnection: close\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = (await reader.read()).decode()
    writer.close()
    timing = re.search(r"server-timing: queue;dur=([\d.]+), load;dur=([\d.]+)", answer, re.IGNORECASE)
    if not answer.startswith("HTTP/1.1 200") or not timing:
        raise RuntimeError(f"{consumer} answered:\n{answer[:500]}")
    return (float(timing[1]) + float(timing[2])) / 1000


async def live(port, flow, waits):
    for time, consumer, seconds in flow:
        await asyncio.sleep(time)
        waits.append(await ask(port, consumer, seconds))


async def live_all(port, flows):
    waits = []
    await asyncio.gather(*(live(port, flow, waits) for flow in flows))
    return waits


def warmed_up(port):
    """Each process is started and has loaded and unloaded once, so that no start counts as a load later."""
    for name in CONSUMERS:
        for verb in ("load", "unload"):
            status, told = call(port, "POST", f"/v1/consumers/{name}/{verb}", {})
            assert status == 200, told
    wait_until(lambda: call(port, "GET", "/v1/status")[1]["in_flight"] == 0, "the warm-up to end")


def journal_of(port, after):
    """From the id on, as `mgpu events --json` prints it, with the readings, which tell the device's size."""
    command = ["curl", "-sN", f"http://127.0.0.1:{port}/v1/events?follow=false&all=true&after={after}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def last_id(port):
    return int(re.findall(r"^id: (\d+)", journal_of(port, 0), re.MULTILINE)[-1])


def settle(ground, trace, policy):
    """A household under a policy, its daemon started and everybody's process with it. Returns the coroutine that lives
    in it; that one returns what each job waited, and the model's figures."""
    flows = [flow for flow in scaled(trace) if flow]
    written = config(policy)
    port = ground.daemon(written["consumers"], **{key: value for key, value in written.items() if key != "consumers"}).port
    table, journal, yaml = (ground.folder / name for name in ("table.csv", "journal", "mgpu.yaml"))
    table.write_text(as_csv(flows))
    warmed_up(port)
    start = last_id(port)

    async def live_and_model():
        waits = await live_all(port, flows)
        journal.write_text(journal_of(port, start))
        told = subprocess.run([BIN / "mgpu", "simulate", "--json", "--config", yaml, "--trace", table, "--footprints", journal],
                              check=True, capture_output=True, text=True)
        [model] = json.loads(told.stdout)["variants"]
        return waits, model

    return live_and_model()


async def gathered(lives):
    return await asyncio.gather(*lives)


def measure():
    rows = []
    for policy in POLICIES:
        with contextlib.ExitStack() as grounds:
            outcomes = asyncio.run(gathered([settle(grounds.enter_context(Ground()), trace, policy) for trace in TRACES]))
        for trace, (waits, model) in zip(TRACES, outcomes):
            real, modelled = sum(waits) / len(waits) * FASTER, model["wait"]["mean_ms"] / 1000 * FASTER
            off = real / modelled - 1
            rows.append([trace, f"`{policy}`", len(waits), f"{real:.2f} s", f"{modelled:.2f} s", f"{off:+.0%}",
                         "met" if abs(off) <= 0.15 else "**not met**"])
    return Result(["household", "policy", "jobs", "mean wait, real daemon", "in the model", "difference", "within 15 %"], rows,
                  note=f"{SECONDS} s each, {FASTER} times as fast as life; the figures are in the household's seconds.")

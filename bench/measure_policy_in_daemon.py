"""The model of bench/policy compared with the real daemon: the same traces, twenty times as fast.

Each consumer is a real process (tests/fakes) that allocates its bytes on the simulated GPU, and loads and works as long as
the trace says; each flow is a connection. `mgpu simulate` then runs the same table with the load times from the daemon's
journal. Several traces run at the same time, each with its own daemon: they mostly sleep.
"""
import asyncio
import contextlib
import csv
import io
import json
import re
import subprocess

from bench_environment import BIN, BenchEnvironment, call_api, wait_until
from report import Result

SPEEDUP = 20
SECONDS = 90  # of real time: half an hour of the trace
USUAL_WAIT = 1.5  # seconds of real time: a guess of the wait before each next step of a flow
POLICIES = ["fifo", "affinity"]
TRACES = ["voice", "agents", "independent"]
GiB = 1 << 30
# As in bench/policy/households.cc: footprint and working in GiB, seconds to load.
CONSUMERS = {"stt": (3, 0.3, 4), "chat": (9, 1, 12), "tts": (2.5, 0.3, 4), "coder": (17, 1.5, 20), "embed": (1.5, 0.2, 3),
             "vision": (8, 1, 11), "image": (12, 2, 15)}


def scaled_flows(trace):
    """The flows of a trace, sped up and cut off after SECONDS: lists of (time or pause, consumer, seconds). The daemon and
    the model run the same table to its end, so the place of the cut does not affect the comparison."""
    text = subprocess.run([BIN / "mgpu-bench-policy", "--csv", trace], check=True, capture_output=True, text=True).stdout
    flows = {}
    for number, row in enumerate(csv.DictReader(io.StringIO(text))):
        flows.setdefault(row["flow"] or number, []).append(
            (float(row["time"]) / SPEEDUP, row["consumer"], float(row["seconds"]) / SPEEDUP))
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
                   "--working", int(working * GiB), "--load-ms", int(load * 1000 / SPEEDUP)]
        return {"footprint": f"{int(footprint * 1024)}MiB", "working": f"{int(working * 1024)}MiB", "service": "generic",
                "load": "POST /load", "unload": "POST /unload",
                "runner": {"process": {"command": [str(word) for word in command]}}}

    return {"consumers": {name: consumer(name) for name in CONSUMERS}, "policy": policy,
            "gpu": {"sample_busy": "10ms"}, "limits": {"events": 1_000_000}}


async def send_request(port, consumer, seconds):
    """Sends one request; returns the seconds it waited, from the daemon's Server-Timing header."""
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


async def run_flow(port, flow, waits):
    for time, consumer, seconds in flow:
        await asyncio.sleep(time)
        waits.append(await send_request(port, consumer, seconds))


async def run_flows(port, flows):
    waits = []
    await asyncio.gather(*(run_flow(port, flow, waits) for flow in flows))
    return waits


def warm_up_services(port):
    """Starts, loads and unloads each service once, so that no measured load includes a process start."""
    for name in CONSUMERS:
        for verb in ("load", "unload"):
            status, result = call_api(port, "POST", f"/v1/consumers/{name}/{verb}", {})
            assert status == 200, result
    wait_until(lambda: call_api(port, "GET", "/v1/status")[1]["in_flight"] == 0, "the warm-up to end")


def daemon_journal(port, after):
    """All events after this id, as server-sent events, with the readings, which contain the device's size."""
    command = ["curl", "-sN", f"http://127.0.0.1:{port}/v1/events?follow=false&all=true&after={after}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def last_event_id(port):
    return int(re.findall(r"^id: (\d+)", daemon_journal(port, 0), re.MULTILINE)[-1])


def start_trace(environment, trace, policy):
    """Starts a daemon with this policy and warms up its services. Returns a coroutine that runs the trace and returns the
    waits of the jobs and the model's figures."""
    flows = [flow for flow in scaled_flows(trace) if flow]
    daemon_config = config(policy)
    port = environment.daemon(**daemon_config).port
    table, journal, yaml = (environment.folder / name for name in ("table.csv", "journal", "mgpu.yaml"))
    table.write_text(as_csv(flows))
    warm_up_services(port)
    start = last_event_id(port)

    async def run_and_simulate():
        waits = await run_flows(port, flows)
        journal.write_text(daemon_journal(port, start))
        result = subprocess.run([BIN / "mgpu", "simulate", "--json", "--config", yaml, "--trace", table, "--footprints", journal],
                                check=True, capture_output=True, text=True)
        [model] = json.loads(result.stdout)["variants"]
        return waits, model

    return run_and_simulate()


async def gather_all(runs):
    return await asyncio.gather(*runs)


def measure():
    rows = []
    for policy in POLICIES:
        with contextlib.ExitStack() as environments:
            runs = [start_trace(environments.enter_context(BenchEnvironment()), trace, policy) for trace in TRACES]
            outcomes = asyncio.run(gather_all(runs))
        for trace, (waits, model) in zip(TRACES, outcomes):
            measured, modelled = sum(waits) / len(waits) * SPEEDUP, model["wait"]["mean_ms"] / 1000 * SPEEDUP
            difference = measured / modelled - 1
            rows.append([trace, f"`{policy}`", len(waits), f"{measured:.2f} s", f"{modelled:.2f} s", f"{difference:+.0%}",
                         "met" if abs(difference) <= 0.15 else "**not met**"])
    return Result(["household", "policy", "jobs", "mean wait, real daemon", "in the model", "difference", "within 15 %"], rows,
                  note=f"{SECONDS} s each, {SPEEDUP} times as fast as the trace; the figures are in seconds of the trace.")

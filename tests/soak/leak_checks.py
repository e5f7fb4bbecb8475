"""What must be true after the traffic: every request ended once, nothing leaked, no allocation was refused."""
import collections
import os
import pathlib
import sqlite3
import time

from daemon_harness import MiB, wait_until

RSS_GROWTH = 24 * MiB  # allowed in the last quarter of the run


def open_descriptors(pid):
    """The process' open descriptors, counted by kind: socket, pipe, or the path of a file."""
    open_files = collections.Counter()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            open_files[os.readlink(entry).split(":[")[0]] += 1
        except OSError:
            pass  # closed in between
    return open_files


def resident_memory(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def unanswered_requests(request_log, service_journal, died_of_memory):
    """Complaints about requests without a clear answer, and about requests that a service worked at twice. A second start
    is allowed where the service ran out of memory, a second end never."""
    starts = collections.Counter(user for what, _, _, user in service_journal if what == "start" and user)
    ends = collections.Counter(user for what, _, _, user in service_journal if what == "end" and user)
    for request in request_log.requests:
        name = f"{request.user} ({request.client_kind} to {request.consumer}"
        if not request.outcome:
            yield f"{name}) got no answer"
        elif request.outcome.startswith("unclear"):
            yield f"{name}, after {request.seconds:.1f} s): {request.outcome}"
        elif starts[request.user] > 1 + (request.consumer in died_of_memory) or ends[request.user] > 1:
            yield f"{name}, {request.outcome}) was started {starts[request.user]} times at its service"
        elif request.outcome == "answered" and starts[request.user] > 0 and ends[request.user] == 0:
            yield f"{name}) was answered, but its work at the service did not end"
        elif request.outcome == "cut" and ends[request.user]:
            yield f"{name}) was cut, but its service did not die"


def unsettled_loads(harness):
    """Complaints if loads and evictions go on without requests."""
    def is_settled():
        last_event = harness.events("load", "evict")[-1:]
        time.sleep(1)
        return harness.events("load", "evict")[-1:] == last_event
    try:
        wait_until(is_settled, "no more loads", 10)
    except AssertionError:
        yield f"loads and evictions go on without requests: {harness.events('load', 'evict')[-8:]}"


def unexplained_memory(harness):
    """Complaints about device memory that is held by unknown processes, or that the daemon reports wrongly."""
    status = harness.status()
    for device, gpu in zip(status["devices"], harness.gpu_states()):
        holders = {process["pid"] for process in gpu["processes"]}
        known = {consumer["pid"] for consumer in status["consumers"] if consumer["pid"]}
        known |= set(harness.external)
        if holders - known:
            yield f"{device['id']}: memory of unknown processes: {gpu['processes']}"
        if device["memory"]["measured_bytes"] + device["memory"]["foreign_bytes"] != gpu["used"]:
            yield f"{device['id']}: {gpu['used']} bytes are used, the daemon reports {device['memory']}"


def leftovers(harness, before, history_rows):
    """Complaints once all consumers are unloaded. `before` are the descriptors of the daemon right after its start."""
    pid = harness.daemon.pid
    allowed = {pid, *harness.external}
    try:
        wait_until(lambda: not (open_descriptors(pid) - before) and set(harness.process_pids()) == allowed,
                   "descriptors and processes to be gone", 5)
    except AssertionError:
        if more := open_descriptors(pid) - before:
            yield f"the daemon has {sum(more.values())} descriptors more than after its start: {dict(more)}"
        if set(harness.process_pids()) - allowed:
            yield f"processes that still run: {[command_line(left) for left in set(harness.process_pids()) - allowed]}"
    status = harness.status()
    if status["queue_depth"] or status["in_flight"] or status["line"] or harness.get("/v1/leases")["leases"]:
        yield f"tickets that did not end: {status['line']}"
    for gpu in harness.gpu_states():
        if gpu["used"] or gpu["checkpointed"]:
            yield f"device {gpu['index']}: memory still used: {gpu['processes']} {gpu['checkpointed']}"
    with sqlite3.connect(harness.state_file) as file:
        [rows] = file.execute("SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM learned), "
                              "(SELECT count(*) FROM started)")
    consumers = len(status["consumers"])
    residents = sum(len(consumer["residents"]) for consumer in status["consumers"])
    if rows[0] > history_rows or rows[1] > residents or rows[2] > consumers:
        yield f"rows in the store: {rows[0]} jobs of {history_rows}, {rows[1]} learned of {residents}, {rows[2]} started"


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return f"{pid} (ended)"

"""What must be true when the traffic is over: every request ended once, nothing leaked, nothing was refused."""
import collections
import os
import pathlib
import sqlite3
import time

from daemon_harness import MiB, wait_until

RSS_GROWTH = 24 * MiB  # in a quarter of the run, after it was warm


def descriptors(pid):
    """What the process has open, as words: socket, pipe, or the file's path."""
    open_files = collections.Counter()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            open_files[os.readlink(entry).split(":[")[0]] += 1
        except OSError:
            pass  # closed meanwhile
    return open_files


def resident_memory(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def answered_once(book, journal, died_of_memory):
    """Complaints about requests that got no clear answer, or were worked at twice: that happens where a service died of
    memory, together with what else it was at, and even then no work is done twice."""
    begun = collections.Counter(user for what, _, _, user in journal if what == "start" and user)
    ended = collections.Counter(user for what, _, _, user in journal if what == "end" and user)
    for one in book.asked:
        if not one.outcome:
            yield f"{one.user} ({one.how} to {one.consumer}) never got an answer"
        elif one.outcome.startswith("unclear"):
            yield f"{one.user} ({one.how} to {one.consumer}, after {one.seconds:.1f} s): {one.outcome}"
        elif begun[one.user] > 1 + (one.consumer in died_of_memory) or ended[one.user] > 1:
            yield f"{one.user} ({one.how} to {one.consumer}, {one.outcome}) was worked at {begun[one.user]} times"
        elif one.outcome == "answered" and begun[one.user] > 0 and ended[one.user] == 0:
            yield f"{one.user} ({one.how} to {one.consumer}) was answered, though its work never ended"
        elif one.outcome == "cut" and ended[one.user]:
            yield f"{one.user} ({one.how} to {one.consumer}) was cut, though its service did not die"


def at_rest(harness):
    """Complaints if the house goes on loading and unloading though nobody asks."""
    def calm():
        moved = harness.events("load", "evict")[-1:]
        time.sleep(1)
        return harness.events("load", "evict")[-1:] == moved
    try:
        wait_until(calm, "", 10)
    except AssertionError:
        yield f"nobody asks, and the house does not come to rest: {harness.events('load', 'evict')[-8:]}"


def memory_is_explained(harness):
    """Complaints about simulated bytes that are not those of who is warm."""
    status = harness.status()
    for device, gpu in zip(status["devices"], harness.gpu_states()):
        holders = {process["pid"] for process in gpu["processes"]}
        known = {consumer["pid"] for consumer in status["consumers"] if consumer["pid"]}
        known |= set(harness.external)
        if holders - known:
            yield f"{device['id']}: held by processes that nobody knows: {gpu['processes']}"
        if device["memory"]["measured_bytes"] + device["memory"]["foreign_bytes"] != gpu["used"]:
            yield f"{device['id']}: {gpu['used']} bytes are used, the daemon says {device['memory']}"


def nothing_is_left(harness, before, history_rows):
    """Complaints after all consumers were unloaded. `before` is what the daemon had open when it was new."""
    pid = harness.daemon.pid
    allowed = {pid, *harness.external}
    try:
        wait_until(lambda: not (descriptors(pid) - before) and set(harness.process_pids()) == allowed, "", 5)
    except AssertionError:
        if more := descriptors(pid) - before:
            yield f"the daemon has {sum(more.values())} descriptors more than when it was new: {dict(more)}"
        if set(harness.process_pids()) - allowed:
            yield f"processes that are left: {[command_of(one) for one in set(harness.process_pids()) - allowed]}"
    status = harness.status()
    if status["queue_depth"] or status["in_flight"] or status["line"] or harness.get("/v1/leases")["leases"]:
        yield f"tickets are left: {status['line']}"
    for gpu in harness.gpu_states():
        if gpu["used"] or gpu["checkpointed"]:
            yield f"device {gpu['index']}: still used: {gpu['processes']} {gpu['checkpointed']}"
    with sqlite3.connect(harness.state_file) as file:
        [rows] = file.execute("SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM learned), "
                              "(SELECT count(*) FROM started)")
    consumers = len(status["consumers"])
    residents = sum(len(consumer["residents"]) for consumer in status["consumers"])
    if rows[0] > history_rows or rows[1] > residents or rows[2] > consumers:
        yield f"rows in the store: {rows[0]} jobs of {history_rows}, {rows[1]} learned of {residents}, {rows[2]} started"


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return f"{pid} (gone)"

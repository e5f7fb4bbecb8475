"""The demo's display: on a terminal a table that is redrawn in place, otherwise one line per event."""
import collections
import json
import sys
import threading
import time
import urllib.request

GIB = 1 << 30
WIDTH = 48
MESSAGE_COUNT = 10  # shown under the table
PERIOD = 0.15


class LineDisplay:
    """For logs and pipes: one line per message."""

    def __init__(self, out):
        self.out = out
        self.start = time.monotonic()
        self.lock = threading.Lock()

    def show_message(self, text):
        with self.lock:
            print(f"{time.monotonic() - self.start:6.1f} s  {text}", file=self.out, flush=True)

    def watch(self, url):
        pass

    def close(self):
        pass


class SilentDisplay(LineDisplay):
    """For --json."""

    def show_message(self, text):
        pass


class TableDisplay(LineDisplay):
    """For terminals: a thread reads /v1/status every PERIOD seconds and redraws the table."""

    def __init__(self, out):
        super().__init__(out)
        self.messages = collections.deque(maxlen=MESSAGE_COUNT)
        self.drawn = 0
        self.closed = threading.Event()
        self.thread = None

    def show_message(self, text):
        with self.lock:
            self.messages.append(f"{time.monotonic() - self.start:6.1f} s  {text}")

    def watch(self, url):
        self.thread = threading.Thread(target=self._watch, args=(url,), daemon=True)
        self.thread.start()

    def close(self):
        self.closed.set()
        if self.thread:
            self.thread.join(5)

    def _watch(self, url):
        while not self.closed.wait(PERIOD):
            try:
                with urllib.request.urlopen(f"{url}/v1/status", timeout=5) as answer:
                    self._draw(status_lines(json.load(answer)))
            except OSError:
                pass  # the daemon is stopping

    def _draw(self, lines):
        with self.lock:
            lines = lines + [""] + list(self.messages)
        back = f"\x1b[{self.drawn}F" if self.drawn else ""
        self.out.write(back + "".join(f"{line[:118]}\x1b[K\n" for line in lines) + "\x1b[J")
        self.out.flush()
        self.drawn = len(lines)


def status_lines(status):
    """The status as lines: device memory by owner, consumers, line."""
    lines = []
    for device in status["devices"]:
        memory = device["memory"]
        total = memory["total_bytes"]
        lines += [f"{device['id']}  {device['name']}  {total / GIB:.0f} GiB   turn: {', '.join(device['turns']) or '-'}"]
        owners = [(owner["consumer"], max(owner["committed_bytes"], owner["measured_bytes"]))
                  for owner in memory["by_consumer"]]
        owned = sum(amount for _, amount in owners)
        owners += [("mgpu run", memory["committed_bytes"] - owned), ("foreign", memory["foreign_bytes"]),
                   ("reserve", memory["reserve_bytes"])]
        foreign = ", ".join(process["command"] for process in memory["foreign_processes"])
        for owner, amount in owners:
            if amount > 0:
                bar = "#" * round(WIDTH * amount / total)
                named = f"  {foreign}" if owner == "foreign" else ""
                lines.append(f"  {owner or 'mgpu run':<10}{amount / GIB:5.1f} GiB  {bar}{named}")
    lines += ["", "consumer    state       running  waiting"]
    lines += [f"{c['name']:<12}{c['state']:<12}{c['running']:>7}{c['waiting']:>9}" for c in status["consumers"]]
    lines += ["", "line        stage       waited   who"]
    lines += [f"{t['consumer'] or 'mgpu run':<12}{t['stage']:<10}{t['waiting_ms'] / 1000:>6.1f} s   {t['who']}"
              for t in status["line"]] or ["  (empty)"]
    return lines


def create_display(json_only, daemon):
    """The table needs a daemon to show; without one the display is lines."""
    if json_only:
        return SilentDisplay(sys.stderr)
    return TableDisplay(sys.stdout) if daemon and sys.stdout.isatty() else LineDisplay(sys.stdout)

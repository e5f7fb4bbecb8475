"""Where results go: a table on the terminal, and the marked block of docs/performance.md."""
import dataclasses
import datetime
import os
import pathlib
import platform
import re
import subprocess

from ground import TREE

PAGE = TREE / "docs/performance.md"


@dataclasses.dataclass
class Result:
    columns: list
    rows: list
    note: str = ""  # how it was measured, where that changes from machine to machine
    more: str = ""  # further tables, as markdown


def machine():
    cpu = re.search(r"model name\s*: (.+)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"


def commit():
    told = subprocess.run(["git", "-C", TREE, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return told.stdout.strip() or "an unknown commit"


def as_markdown(result):
    lines = [result.columns, ["---"] * len(result.columns), *result.rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def block(result, load):
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    measured = f"Measured {when} at {commit()}: {machine()}; load average before it {load:.1f}. {result.note}"
    more = f"{result.more}\n\n" if result.more else ""
    return f"{as_markdown(result)}\n\n{more}{measured.strip()}\n"


def write(name, text):
    """Replaces what stands between the marks of this benchmark; everything else on the page is prose."""
    first, last = f"<!-- bench {name}: written by ./dev bench {name} -->", f"<!-- /bench {name} -->"
    page = PAGE.read_text()
    before, found, rest = page.partition(first)
    _, closed, after = rest.partition(last)
    if not found or not closed:
        raise SystemExit(f"bench: {PAGE} has no place for {name}: it wants {first} and {last}")
    PAGE.write_text(f"{before}{first}\n{text}{last}{after}")

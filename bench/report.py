"""The output of a benchmark: a table on the terminal, and the marked block of docs/performance.md."""
import dataclasses
import datetime
import os
import pathlib
import platform
import re
import subprocess

from bench_environment import TREE

PAGE = TREE / "docs/performance.md"


@dataclasses.dataclass
class Result:
    columns: list
    rows: list
    note: str = ""  # how it was measured
    more: str = ""  # further tables, as markdown


def machine_description():
    cpu = re.search(r"model name\s*: (.+)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"


def commit_id():
    result = subprocess.run(["git", "-C", TREE, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return result.stdout.strip() or "an unknown commit"


def as_markdown(result):
    lines = [result.columns, ["---"] * len(result.columns), *result.rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def result_block(result, load_average):
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    measured = f"Measured {when} at {commit_id()}: {machine_description()}; load average before it {load_average:.1f}. {result.note}"
    more = f"{result.more}\n\n" if result.more else ""
    return f"{as_markdown(result)}\n\n{more}{measured.strip()}\n"


def write_block(name, text):
    """Replaces the text between the marks of this benchmark; the rest of the page is written by hand."""
    begin_mark, end_mark = f"<!-- bench {name}: written by ./dev bench {name} -->", f"<!-- /bench {name} -->"
    page = PAGE.read_text()
    before, has_begin, rest = page.partition(begin_mark)
    _, has_end, after = rest.partition(end_mark)
    if not has_begin or not has_end:
        raise SystemExit(f"bench: {PAGE} has no block for {name}: it needs the lines {begin_mark} and {end_mark}")
    PAGE.write_text(f"{before}{begin_mark}\n{text}{end_mark}{after}")

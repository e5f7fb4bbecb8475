#!/usr/bin/env python3
"""Makes docs/demo.svg from a real run of the demo: its fullest moment, and the summary that it ends with.

    tools/demo_picture.py [--build build/release] [--out docs/demo.svg] [--keep capture.txt | --from capture.txt]

The demo runs at a terminal of its own (a pty), so that it draws its table; what it wrote is read back here.
"""
import argparse
import os
import pty
import re
import sys
from xml.sax.saxutils import escape

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FRAME_END = "\x1b[J"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
FONT, CHAR, LINE, MARGIN, BAR = 13, 7.83, 18, 18, 30
PAPER, FRAME, INK, DIM = "#14171c", "#242a33", "#d6dbe3", "#8b95a3"
OWNERS = {"stt": "#5fb3ff", "llm": "#ffb454", "tts": "#c792ea", "mgpu run": "#7fd88f", "reserve": "#6b7480", "foreign": "#f07178"}
GOOD = "#7fd88f"


def capture(build):
    """Everything that the demo wrote to its terminal."""
    written = bytearray()

    def listen(terminal):
        piece = os.read(terminal, 1 << 16)
        written.extend(piece)
        return piece

    python = os.path.join(TREE, ".cache/venv/bin/python")
    os.chdir(TREE)
    status = pty.spawn([python, "examples/demo/demo.py", "--build", build], listen, lambda _: b"")
    if status != 0:
        sys.exit("demo_picture: the demo failed, so there is nothing to show")
    return written.decode(errors="replace")


def plain(text):
    return [line.rstrip() for line in CONTROL.sub("", text).strip("\r\n").split("\n")]


def fullest(frames):
    """The table in which most happens: who waits, several owners, and a turn that is held."""
    def fullness(lines):
        head, _, line = "\n".join(lines).partition("line        stage")
        return (line.count(" s   "), head.count("GiB  #"), "running" in line, len(lines))
    return max(frames, key=fullness)


def colour(line):
    """Of the whole line; its bar of # has the same, drawn as a bar."""
    name = line.strip()
    for owner, ink in OWNERS.items():
        if name.startswith(owner) and "GiB  #" in line:
            return ink
    if name.startswith("out-of-memory refusals"):
        return GOOD if name.endswith(" 0") else OWNERS["foreign"]
    heading = name.startswith(("consumer ", "line ", "$"))
    return DIM if heading or re.match(r"\d+\.\d s  ", name) else INK


def svg(lines):
    width = round(2 * MARGIN + CHAR * max(map(len, lines)))
    height = BAR + MARGIN + LINE * len(lines)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
           f' role="img" aria-label="A run of ./dev demo: the table of the line and of memory by owner, and the summary">',
           f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>',
           f'<path d="M0 8a8 8 0 0 1 8-8h{width - 16}a8 8 0 0 1 8 8v{BAR - 8}H0z" fill="{FRAME}"/>']
    out += [f'<circle cx="{20 + 18 * i}" cy="{BAR / 2}" r="5" fill="#465060"/>' for i in range(3)]
    out += [f'<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{FONT}" xml:space="preserve">']
    for row, line in enumerate(lines):
        y = BAR + MARGIN + LINE * row
        text, _, bar = line.partition("#")
        if bar or line.endswith("#"):
            length = line.count("#")
            out.append(f'<rect x="{MARGIN + CHAR * len(text):.1f}" y="{y - 10}" width="{CHAR * length:.1f}" height="12"'
                       f' rx="2" fill="{colour(line)}"/>')
        if text.strip():
            length = f' textLength="{CHAR * len(text.rstrip()):.1f}"'
            out.append(f'<text x="{MARGIN}" y="{y}"{length} fill="{colour(line)}">{escape(text.rstrip())}</text>')
    return "\n".join(out + ["</g>", "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--out", default=os.path.join(TREE, "docs/demo.svg"))
    parser.add_argument("--keep", help="write what the demo wrote to this file as well")
    parser.add_argument("--from", dest="kept", help="draw such a file instead of running the demo")
    options = parser.parse_args()

    if options.kept:
        with open(options.kept, encoding="utf-8", newline="") as file:
            written = file.read()
    else:
        written = capture(options.build)
    if options.keep:
        with open(options.keep, "w", encoding="utf-8", newline="") as file:
            file.write(written)

    written = written.replace(os.path.join(TREE, options.build, "bin") + "/", "")  # where this machine keeps its build
    *frames, after = written.split(FRAME_END)
    lines = ["$ ./dev demo", ""] + fullest([plain(frame) for frame in frames]) + [""] + plain(after)
    with open(options.out, "w", encoding="utf-8") as file:
        file.write(svg(lines))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Draws docs/demo.svg from a real run of the demo: the table at its fullest, and the summary at the end.

    tools/render_demo_svg.py [--build build/release] [--out docs/demo.svg] [--keep capture.txt | --from capture.txt]

The demo runs in a pty, so that it draws its table; its output is captured and parsed here.
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
FONT, CHAR, LINE, MARGIN, TITLE_HEIGHT = 13, 7.83, 18, 18, 30
BACKGROUND, TITLE_BAR, TEXT_COLOUR, DIM_COLOUR = "#14171c", "#242a33", "#d6dbe3", "#8b95a3"
OWNER_COLOURS = {"stt": "#5fb3ff", "llm": "#ffb454", "tts": "#c792ea", "mgpu run": "#7fd88f", "reserve": "#6b7480",
                 "foreign": "#f07178"}
GOOD_COLOUR = "#7fd88f"


def capture_demo(build):
    """Runs the demo; returns all its terminal output."""
    written = bytearray()

    def record(terminal):
        piece = os.read(terminal, 1 << 16)
        written.extend(piece)
        return piece

    python = os.path.join(TREE, ".cache/venv/bin/python")
    os.chdir(TREE)
    status = pty.spawn([python, "examples/demo/demo.py", "--build", build], record, lambda _: b"")
    if status != 0:
        sys.exit("render_demo_svg: the demo failed")
    return written.decode(errors="replace")


def strip_escapes(text):
    return [line.rstrip() for line in CONTROL.sub("", text).strip("\r\n").split("\n")]


def fullest_frame(frames):
    """The table with the most content: waiting tickets, owners of memory, running jobs."""
    def content(lines):
        head, _, line = "\n".join(lines).partition("line        stage")
        return (line.count(" s   "), head.count("GiB  #"), "running" in line, len(lines))
    return max(frames, key=content)


def line_colour(line):
    """The colour of a line and of the bar of # in it."""
    name = line.strip()
    for owner, colour in OWNER_COLOURS.items():
        if name.startswith(owner) and "GiB  #" in line:
            return colour
    if name.startswith("out-of-memory refusals"):
        return GOOD_COLOUR if name.endswith(" 0") else OWNER_COLOURS["foreign"]
    heading = name.startswith(("consumer ", "line ", "$"))
    return DIM_COLOUR if heading or re.match(r"\d+\.\d s  ", name) else TEXT_COLOUR


def render_svg(lines):
    width = round(2 * MARGIN + CHAR * max(map(len, lines)))
    height = TITLE_HEIGHT + MARGIN + LINE * len(lines)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
           f' role="img" aria-label="A run of ./dev demo: the table of the line and of memory by owner, and the summary">',
           f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>',
           f'<path d="M0 8a8 8 0 0 1 8-8h{width - 16}a8 8 0 0 1 8 8v{TITLE_HEIGHT - 8}H0z" fill="{TITLE_BAR}"/>']
    out += [f'<circle cx="{20 + 18 * i}" cy="{TITLE_HEIGHT / 2}" r="5" fill="#465060"/>' for i in range(3)]
    out += [f'<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{FONT}" xml:space="preserve">']
    for row, line in enumerate(lines):
        y = TITLE_HEIGHT + MARGIN + LINE * row
        text, _, bar = line.partition("#")
        if bar or line.endswith("#"):
            length = line.count("#")
            out.append(f'<rect x="{MARGIN + CHAR * len(text):.1f}" y="{y - 10}" width="{CHAR * length:.1f}" height="12"'
                       f' rx="2" fill="{line_colour(line)}"/>')
        if text.strip():
            length = f' textLength="{CHAR * len(text.rstrip()):.1f}"'
            out.append(f'<text x="{MARGIN}" y="{y}"{length} fill="{line_colour(line)}">{escape(text.rstrip())}</text>')
    return "\n".join(out + ["</g>", "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--out", default=os.path.join(TREE, "docs/demo.svg"))
    parser.add_argument("--keep", help="also write the captured output to this file")
    parser.add_argument("--from", dest="kept", help="draw a captured output instead of running the demo")
    options = parser.parse_args()

    if options.kept:
        with open(options.kept, encoding="utf-8", newline="") as file:
            written = file.read()
    else:
        written = capture_demo(options.build)
    if options.keep:
        with open(options.keep, "w", encoding="utf-8", newline="") as file:
            file.write(written)

    written = written.replace(os.path.join(TREE, options.build, "bin") + "/", "")  # the paths of this machine
    *frames, after = written.split(FRAME_END)
    lines = ["$ ./dev demo", ""] + fullest_frame([strip_escapes(frame) for frame in frames]) + [""] + strip_escapes(after)
    with open(options.out, "w", encoding="utf-8") as file:
        file.write(render_svg(lines))


if __name__ == "__main__":
    main()

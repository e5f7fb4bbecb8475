#!/usr/bin/env python3
"""Checks what README.md repeats against where it comes from: the configuration of a person's own, and the table of
error codes. `ctest` runs it."""
import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = "examples/configs/ollama-comfyui.yaml"


def text(path):
    return (TREE / path).read_text(encoding="utf-8")


def main():
    readme, wrong = text("README.md"), []
    if f"```yaml\n{text(EXAMPLE)}```\n" not in readme:
        wrong.append(f"the yaml block is not {EXAMPLE}")
    in_code = re.findall(r'Row\{Code::\w+, "(\w+)", (\d+)\}', text("src/base/result.cc"))
    in_readme = re.findall(r"^\| `(\w+)` \| (\d+) \|", readme, re.MULTILINE)
    if sorted(in_code) != sorted(in_readme):
        wrong.append(f"the codes differ from src/base/result.cc: {sorted(set(in_code) ^ set(in_readme))}")
    print(*(f"README.md: {what}" for what in wrong or ["says what the sources say"]), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

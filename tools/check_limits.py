#!/usr/bin/env python3
"""Holds docs/limits.md to its sources: each `limits.*` key of docs/config.md (which is made from src/config/keys.cc) stands
in it with its default, as does each other key that it names, and each constant is in the file that it is said to be in.
`ctest` runs it.

    tools/check_limits.py
    tools/check_limits.py --self-test
"""
import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent


def rows(page):
    """The cells of each row of each table."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in page.splitlines() if line.startswith("| ")]


def keys_of(config_page):
    """Every key with its default, by full path. A chapter's keys are written without what its heading says."""
    keys, prefix = {}, ""
    for line in config_page.splitlines():
        if line.startswith("## "):
            prefix = {"Top level": "", "devices": "devices[]."}.get(line[3:].strip(), line[3:].strip() + ".")
        elif line.startswith("| `"):
            path, _, default, *_ = [cell.strip() for cell in line.strip("|").split(" | ")]
            keys[prefix + path.strip("`")] = default.strip("`")
    return keys


def faults(limits_page, keys, read):
    """What is wrong with the page; `read` gives a source's text, or None."""
    table = {cells[0].strip("`"): cells for cells in rows(limits_page) if cells[0].startswith("`")}
    for path in sorted(keys):
        if path.startswith("limits.") and path not in table:
            yield f"{path} is missing"
    for name, cells in table.items():
        if not name.startswith("k"):
            if name not in keys:
                yield f"there is no key {name}"
            elif cells[1].strip("`") != keys[name]:
                yield f"{name}: the default is {keys[name]}, not {cells[1].strip('`')}"
            continue
        source = cells[1].strip("`")
        if not re.search(rf"\b{name}\b", read(source) or ""):
            yield f"{name} is not in {source}"


def self_test():
    config = "## limits\n\n| key | type | default | meaning | example |\n| `a` | number | `7` | | |\n| `b` | number | `8` | | |\n"
    page = "| `limits.a` | `6` | x |\n| `limits.c` | `1` | x |\n| `kHere` | `f.h` | 1 | x |\n| `kGone` | `f.h` | 1 | x |\n"
    found = list(faults(page, keys_of(config), {"f.h": "constexpr int kHere = 1;"}.get))
    expected = ["limits.b is missing", "limits.a: the default is 7, not 6", "there is no key limits.c", "kGone is not in f.h"]
    print("limits: the self-test passed" if found == expected else f"limits: the self-test found {found}")
    return 0 if found == expected else 1


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()

    def read(path):
        file = TREE / path
        return file.read_text(encoding="utf-8") if file.is_file() else None

    wrong = list(faults(read("docs/limits.md"), keys_of(read("docs/config.md")), read))
    print(*(f"docs/limits.md: {fault}" for fault in wrong), *([] if wrong else ["docs/limits.md says what the sources say"]), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

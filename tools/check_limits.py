#!/usr/bin/env python3
"""Checks docs/limits.md against its sources: it contains each `limits.*` key of docs/config.md (which is generated from
src/config/keys.cc); each key in it has the right default; each constant is in the file that is named for it. `ctest` runs it.

    tools/check_limits.py
    tools/check_limits.py --self-test
"""
import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent


def table_rows(page):
    """The cells of each table row of the page."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in page.splitlines() if line.startswith("| ")]


def keys_of(config_page):
    """The default of every key by its full path; the page writes a key without the prefix in its heading."""
    keys, prefix = {}, ""
    for line in config_page.splitlines():
        if line.startswith("## "):
            prefix = {"Top level": "", "devices": "devices[]."}.get(line[3:].strip(), line[3:].strip() + ".")
        elif line.startswith("| `"):
            path, _, default, *_ = [cell.strip() for cell in line.strip("|").split(" | ")]
            keys[prefix + path.strip("`")] = default.strip("`")
    return keys


def find_problems(limits_page, keys, read):
    """The differences between the page and its sources; read(path) returns a source's text, or None."""
    table = {cells[0].strip("`"): cells for cells in table_rows(limits_page) if cells[0].startswith("`")}
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
    problems = list(find_problems(page, keys_of(config), {"f.h": "constexpr int kHere = 1;"}.get))
    expected = ["limits.b is missing", "limits.a: the default is 7, not 6", "there is no key limits.c", "kGone is not in f.h"]
    print("limits: the self-test passed" if problems == expected else f"limits: the self-test found {problems}")
    return 0 if problems == expected else 1


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()

    def read(path):
        file = TREE / path
        return file.read_text(encoding="utf-8") if file.is_file() else None

    problems = list(find_problems(read("docs/limits.md"), keys_of(read("docs/config.md")), read))
    print(*(f"docs/limits.md: {problem}" for problem in problems),
          *([] if problems else ["docs/limits.md agrees with its sources"]), sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Checks what the pages repeat against where it comes from: README.md's configuration and table of error codes, the routes
in docs/api.md, and that every link within the tree leads somewhere. `ctest` runs it."""
import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = "examples/configs/ollama-comfyui.yaml"


def text(path):
    return (TREE / path).read_text(encoding="utf-8")


def dead_links(page):
    """Links of a page to files that are not there."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text(page))
    return [link for link in links if not (TREE / page).parent.joinpath(link).exists()]


def routes():
    return re.findall(r"^  (/\S+):$", text("docs/openapi.yaml"), re.MULTILINE)


def main():
    readme, wrong = text("README.md"), []
    for page in ("README.md", "ARCHITECTURE.md", *(str(p.relative_to(TREE)) for p in TREE.glob("docs/*.md")), "packaging/README.md"):
        wrong += [f"{page} leads to {link}, which is not there" for link in dead_links(page)]
    api = text("docs/api.md")
    wrong += [f"docs/api.md does not name {route} of docs/openapi.yaml" for route in routes() if f" {route}`" not in api]
    if f"```yaml\n{text(EXAMPLE)}```\n" not in readme:
        wrong.append(f"README.md: the yaml block is not {EXAMPLE}")
    in_code = re.findall(r'ErrorCodeRow\{ErrorCode::\w+, "(\w+)", (\d+)\}', text("src/base/result.cc"))
    in_readme = re.findall(r"^\| `(\w+)` \| (\d+) \|", readme, re.MULTILINE)
    if sorted(in_code) != sorted(in_readme):
        wrong.append(f"README.md: the codes differ from src/base/result.cc: {sorted(set(in_code) ^ set(in_readme))}")
    print(*(wrong or ["README.md and docs/ say what the sources say"]), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

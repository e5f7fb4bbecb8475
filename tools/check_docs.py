#!/usr/bin/env python3
"""Checks the pages against their sources: README.md's configuration and table of error codes, the routes in docs/api.md, and
the links between files of the tree. `ctest` runs it."""
import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = "examples/configs/ollama-comfyui.yaml"


def read_page(path):
    return (TREE / path).read_text(encoding="utf-8")


def dead_links(page):
    """The links of a page to files that do not exist."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read_page(page))
    return [link for link in links if not (TREE / page).parent.joinpath(link).exists()]


def documented_routes():
    return re.findall(r"^  (/\S+):$", read_page("docs/openapi.yaml"), re.MULTILINE)


def main():
    readme, problems = read_page("README.md"), []
    docs = [str(page.relative_to(TREE)) for page in TREE.glob("docs/*.md")]
    for page in ("README.md", "ARCHITECTURE.md", *docs, "packaging/README.md"):
        problems += [f"{page} links to {link}, which does not exist" for link in dead_links(page)]
    api = read_page("docs/api.md")
    problems += [f"docs/api.md does not name {route} of docs/openapi.yaml"
                 for route in documented_routes() if f" {route}`" not in api]
    if f"```yaml\n{read_page(EXAMPLE)}```\n" not in readme:
        problems.append(f"README.md: the yaml block is not {EXAMPLE}")
    in_code = re.findall(r'ErrorCodeRow\{ErrorCode::\w+, "(\w+)", (\d+)\}', read_page("src/base/result.cc"))
    in_readme = re.findall(r"^\| `(\w+)` \| (\d+) \|", readme, re.MULTILINE)
    if sorted(in_code) != sorted(in_readme):
        problems.append(f"README.md: the codes differ from src/base/result.cc: {sorted(set(in_code) ^ set(in_readme))}")
    print(*(problems or ["README.md and docs/ agree with their sources"]), sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

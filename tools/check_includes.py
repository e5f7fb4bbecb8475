#!/usr/bin/env python3
"""Checks which room of src includes which: the arrows of DESIGN, section 5.

ALLOWED_INCLUDES is the whole rule: a room may include itself, the rooms listed for it, and what those may include. In
addition the pure rooms include nothing but the standard library's value types, Beast is included nowhere, and the public
headers include no room.

    tools/check_includes.py              prints each violation as file:line; exit code 1 if there is any
    tools/check_includes.py --self-test
"""
import os
import re
import sys
import tempfile

ALLOWED_INCLUDES = {
    "base": [],
    "domain": ["base"],
    "registry": ["domain"],
    "plan": ["registry"],
    "sched": ["plan"],
    "explain": ["sched"],
    "replay": ["sched"],
    "config": ["domain"],
    "gpu": ["domain"],
    "simgpu": ["gpu"],
    "http": ["base"],
    "auth": ["domain", "http"],
    "pagecache": ["base"],
    "store": ["domain"],
    "estimate": ["base"],
    "metrics": ["domain"],
    "service": ["http", "config"],
    "runner": ["gpu", "config", "http"],  # container engines speak HTTP
    "engine": ["sched", "gpu", "service", "runner", "pagecache", "store", "estimate", "metrics", "config"],
    "simulate": ["replay", "engine"],
    "gateway": ["engine", "http", "auth"],
    "api": ["engine", "explain", "http", "auth"],
    "client": ["http"],
    "cli": ["client", "config"],
    "daemon": ["gateway", "api", "auth", "simgpu"],
}
PURE = {"base", "domain", "registry", "plan", "sched", "explain", "replay"}
# Headers for clocks, threads, randomness and I/O, which pure rooms must not include.
IMPURE = {"thread", "mutex", "shared_mutex", "condition_variable", "future", "stop_token", "random", "fstream",
          "iostream", "filesystem", "unistd.h"}
# Allowed in addition: the command line starts the daemon (`mgpu serve`), and the simulation (`mgpu simulate`) and the helper of
# the runners (`mgpu cuda-checkpoint`), which need no daemon.
EXCEPTIONS = {("cli", "daemon"), ("cli", "simulate"), ("cli", "runner")}
TEST_LIBRARIES = ("gtest/", "gmock/", "rapidcheck")
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def reachable_rooms(room):
    """The rooms that `room` may include, itself among them."""
    reachable, pending = set(), [room]
    while pending:
        next_room = pending.pop()
        if next_room not in reachable:
            reachable.add(next_room)
            pending += ALLOWED_INCLUDES[next_room]
    return reachable


def include_violation(room, is_test, quoted, header):
    """Why a file of `room` may not include `header`, or None."""
    first = header.split("/")[0]
    if quoted and first in ALLOWED_INCLUDES:
        if room is None:
            return f"a public header includes the room {first}"
        # A test of an impure room may use every room but the daemon: real processes, the simulated GPU.
        wide = is_test and room not in PURE
        allowed = (set(ALLOWED_INCLUDES) - {"daemon"}) | {room} if wide else reachable_rooms(room)
        if first not in allowed and (room, first) not in EXCEPTIONS:
            return f"{room} must not include {first}"
    if header.startswith("boost/beast"):
        return "HTTP belongs to the room http, and Beast parses it too leniently"
    if room in PURE and not quoted:
        if header in IMPURE:
            return f"{room} is pure: no clock, no thread, no randomness, no I/O"
        if "/" in header and not (is_test and header.startswith(TEST_LIBRARIES)):
            return f"{room} is pure: no third-party header"
    return None


def sources(root):
    for top_folder in ("src", "include"):
        for folder, _, names in os.walk(os.path.join(root, top_folder)):
            for name in sorted(names):
                if name.endswith((".h", ".cc", ".c")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def violations(root):
    for path in sorted(sources(root)):
        parts = path.split(os.sep)
        room = parts[1] if parts[0] == "src" else None
        if room is not None and room not in ALLOWED_INCLUDES:
            yield f"{path}:1: the room {room} is not in ALLOWED_INCLUDES"
            continue
        is_test = re.search(r"_test\.(?:c|cc|h)$|_(?:fixture|harness)\.h$|/fake_\w+\.(?:cc|h)$", path) is not None
        with open(os.path.join(root, path), encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                found = INCLUDE.match(line)
                if found and (why := include_violation(room, is_test, found[1] == '"', found[2])):
                    yield f"{path}:{number}: {why} ({found[2]})"


def self_test():
    """A small source tree with each kind of violation, and a correct file for each."""
    tree = {
        "src/base/word.h": ("#include <string>\n#include <mutex>\n", ["src/base/word.h:2: base is pure: no clock"]),
        "src/domain/value.h": ('#include "base/word.h"\n#include <fmt/core.h>\n', ["src/domain/value.h:2: domain is pure: no third"]),
        "src/domain/value_test.cc": ("#include <gtest/gtest.h>\n", []),
        "src/plan/plan.cc": ('#include "sched/step.h"\n', ["src/plan/plan.cc:1: plan must not include sched"]),
        "src/sched/step.cc": ('#include "base/word.h"\n#include "plan/plan.h"\n', []),
        "src/service/service_test.cc": ('#include "runner/process.h"\n', []),
        "src/api/status.cc": ("\n#include <boost/beast/http.hpp>\n", ["src/api/status.cc:2: HTTP belongs to the room http"]),
        "src/http/server.cc": ("#include <boost/asio/ip/tcp.hpp>\n", []),
        "src/gateway/forward.cc": ('#include "daemon/serve.h"\n', ["src/gateway/forward.cc:1: gateway must not include daemon"]),
        "src/cli/serve.cc": ('#include "daemon/serve.h"\n', []),
        "src/daemon/serve_test.cc": ('#include "daemon/serve.h"\n', []),
        "src/cli/status.cc": ('#include "engine/engine.h"\n', ["src/cli/status.cc:1: cli must not include engine"]),
        "src/attic/old.h": ("", ["src/attic/old.h:1: the room attic is not in"]),
        "include/mgpu/client.h": ('#include "base/word.h"\n', ["include/mgpu/client.h:1: a public header includes"]),
    }
    with tempfile.TemporaryDirectory() as root:
        for path, (text, _) in tree.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        found = list(violations(root))
    expected = [start for path in sorted(tree) for start in tree[path][1]]
    if len(found) != len(expected) or not all(map(str.startswith, found, expected)):
        print("includes: the self-test expected", *expected, "and found", *found, sep="\n  ")
        return 1
    print("includes: the self-test passed")
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    found = list(violations(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    print(*found, sep="\n", end="\n" if found else "")
    print(f"includes: {len(found)} violations" if found else "includes: no violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""llama.cpp's own server: one AI model, or the router with several."""
import os
import shutil
import signal
import subprocess

import httpx
import pytest

from real_parts import REAL, TREE, needs
from daemon_harness import run_in_background, wait_until
from real_harness import ONE_AI_MODEL, TWO_AI_MODELS, seen_seconds

pytestmark = pytest.mark.timeout(600)
NO_RESERVE = {"devices": [{"id": "gpu0", "reserve": "0"}]}


@pytest.mark.quick
def test_loads_answers_and_frees_its_memory(harness):
    harness.start_with({"llm": harness.llama_server()}, gpu=TWO_AI_MODELS, **NO_RESERVE)
    harness.ask("llm")
    assert harness.held() > 200 << 20
    assert harness.post("/v1/consumers/llm/unload").status_code in (200, 202)
    harness.wait_for_nothing_held()


def test_a_killed_server_is_cold_and_comes_back(harness):
    harness.start_with({"llm": harness.llama_server()}, gpu=TWO_AI_MODELS, **NO_RESERVE)
    harness.ask("llm")
    [process] = harness.holders()
    os.kill(process["pid"], signal.SIGKILL)
    wait_until(lambda: harness.state("llm") in ("cold", "failed") and harness.committed() == 0, "the status", seen_seconds())
    harness.ask("llm")


def test_weights_for_which_there_is_no_room_are_refused(harness):
    """Declared too small: the application itself meets the device's limit, and the caller hears why."""
    harness.refusals_allowed = True
    harness.start_with({"llm": harness.llama_server(footprint="50MiB")}, gpu="100MiB", **NO_RESERVE)
    refused = harness.post("/v1/chat/completions", {"model": "llm", "messages": [{"role": "user", "content": "hello"}]},
                           timeout=120)
    assert refused.status_code == 503 and "Failed to init server" in refused.text, refused.text
    assert harness.refused_allocations() > 0 and harness.held() == 0


@needs("llama")
def test_a_router_has_several_ai_models_that_take_turns(harness):
    harness.start_with({"llm": harness.llama_router("one", "two")}, gpu=ONE_AI_MODEL, **NO_RESERVE)
    assert {"one", "two"} <= {listed["id"] for listed in harness.get("/v1/models")["data"]}, "known before it was started"
    requests = [run_in_background(harness.ask, name) for name in ("one", "two", "one")]
    assert all(request.result(500) for request in requests)
    assert sorted(state for state in harness.residents("llm").values() if state != "cold") == ["warm"]


@needs("llama")
@pytest.mark.parametrize("how", ["unloaded by somebody else", "its child is killed"])
def test_what_a_router_drops_is_cold(harness, how):
    harness.start_with({"llm": harness.llama_router("one", "two")}, gpu=TWO_AI_MODELS, **NO_RESERVE)
    harness.ask("one")
    harness.wait_for_resident("one", "warm", "llm")
    if how == "its child is killed":
        for process in harness.holders():
            if "one" in process["command"]:
                os.kill(process["pid"], signal.SIGKILL)
    else:
        url = harness.consumer("llm")["url"]
        httpx.post(f"{url}/models/unload", json={"model": "one"}, timeout=30).raise_for_status()
    wait_until(lambda: harness.held() == 0, "the driver to show nothing", 20)
    harness.wait_for_resident("one", "cold", "llm")
    wait_until(lambda: harness.committed() == 0, "nothing to be committed", seen_seconds())
    harness.ask("two")
    harness.ask("one")


@needs("chromium", "node")
def test_a_browser_opens_a_page_of_it_and_asks(harness):
    harness.start_with({"llm": harness.llama_server()}, gpu=TWO_AI_MODELS, **NO_RESERVE)
    harness.ask("llm")
    (harness.folder / "node_modules").symlink_to(REAL / "node/node_modules")
    script = shutil.copyfile(TREE / "tests/real/clients/page_chat.mjs", harness.folder / "page_chat.mjs")
    done = subprocess.run(["node", script, harness.url, "llm", "llm"], capture_output=True, text=True, timeout=300,
                          env=harness.env)
    assert done.returncode == 0 and done.stdout.strip(), done.stdout + done.stderr

"""Two AI models of a real Ollama that do not fit together take turns, and no allocation is refused."""
import pytest

from real_parts import needs
from daemon_harness import run_in_background, wait_until
from real_harness import ONE_AI_MODEL, TWO_AI_MODELS

pytestmark = [needs("ollama"), pytest.mark.timeout(600)]
NO_RESERVE = {"devices": [{"id": "gpu0", "reserve": "0"}]}


@pytest.mark.quick
def test_two_that_do_not_fit_together_take_turns(harness):
    harness.start_with({"ollama": harness.ollama_consumer("one", "two")}, gpu=ONE_AI_MODEL, **NO_RESERVE)
    requests = [run_in_background(harness.ask, name) for name in ("one", "two", "one", "two")]
    assert all(request.result(500) for request in requests)
    harness.wait_until_quiet()
    assert sorted(state for state in harness.residents().values() if state != "cold") == ["warm"]
    assert harness.refused_allocations() == 0


def test_what_was_learned_is_what_it_holds(harness):
    harness.start_with({"ollama": harness.ollama_consumer("one", footprint="100MiB")}, gpu=TWO_AI_MODELS, **NO_RESERVE)
    harness.ask("one")
    harness.wait_until_quiet()
    held = harness.held()
    wait_until(lambda: abs(harness.committed() - held) < held / 10, "the learned size", 10)
    assert harness.post("/v1/consumers/ollama/unload").status_code in (200, 202)
    harness.wait_for_nothing_held()


def test_names_that_share_weights_are_one_resident(harness):
    harness.start_with({"ollama": harness.ollama_consumer("one")}, gpu=ONE_AI_MODEL, **NO_RESERVE)
    harness.ask("one")
    harness.run_ollama("cp", "one", "same")
    before = [process["pid"] for process in harness.holders()]
    harness.ask("same")
    harness.ask("one")
    assert [process["pid"] for process in harness.holders()] == before, "it was loaded again"
    held = harness.held()
    assert harness.committed() < 1.5 * held, "its weights are counted twice"

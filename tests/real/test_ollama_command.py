"""Ollama's own command with OLLAMA_HOST naming the daemon."""
import pytest

from real_parts import gguf, needs
from real_harness import TWO_AI_MODELS

pytestmark = [needs("ollama"), pytest.mark.timeout(600)]


@pytest.fixture
def with_ollama(harness):
    return harness.start_with({"ollama": harness.ollama_consumer("one", "two")}, gpu=TWO_AI_MODELS,
                              devices=[{"id": "gpu0", "reserve": "0"}])


def listed(text):
    """The first word of each row below the head."""
    return [line.split()[0] for line in text.splitlines()[1:]]


@pytest.mark.quick
def test_lists_what_there_is_before_ollama_was_started(with_ollama):
    assert sorted(listed(with_ollama.run_ollama("list"))) == ["one:latest", "two:latest"]
    assert listed(with_ollama.run_ollama("ps")) == []
    assert with_ollama.held() == 0


@pytest.mark.quick
def test_runs_shows_and_stops(with_ollama):
    assert with_ollama.run_ollama("run", "one", "Say hello.").strip()
    assert listed(with_ollama.run_ollama("ps")) == ["one:latest"]
    assert "gemma3" in with_ollama.run_ollama("show", "one")
    with_ollama.run_ollama("stop", "one")
    with_ollama.wait_for_nothing_held()
    assert listed(with_ollama.run_ollama("ps")) == []


def test_manages_files_without_a_turn(with_ollama):
    model_file = with_ollama.folder / "Modelfile"
    model_file.write_text(f"FROM {gguf('three')}\n")
    with_ollama.run_ollama("create", "three", "-f", str(model_file))
    with_ollama.run_ollama("cp", "three", "four")
    assert sorted(listed(with_ollama.run_ollama("list"))) == ["four:latest", "one:latest", "three:latest", "two:latest"]
    assert with_ollama.held() == 0, "managing files loads nothing"
    with_ollama.ask("three")
    with_ollama.ask("four")
    with_ollama.run_ollama("rm", "three", "four")
    assert sorted(listed(with_ollama.run_ollama("list"))) == ["one:latest", "two:latest"]
    with_ollama.ask("one")

"""Ollama's own command with OLLAMA_HOST naming the daemon."""
import pytest

from real_parts import gguf, needs
from real_harness import TWO_AI_MODELS

pytestmark = [needs("ollama"), pytest.mark.timeout(600)]


@pytest.fixture
def house(harness):
    return harness.start_with({"ollama": harness.ollama_consumer("one", "two")}, gpu=TWO_AI_MODELS,
                              devices=[{"id": "gpu0", "reserve": "0"}])


def listed(text):
    """The first word of each row below the head."""
    return [line.split()[0] for line in text.splitlines()[1:]]


@pytest.mark.quick
def test_lists_what_there_is_before_ollama_was_started(house):
    assert sorted(listed(house.run_ollama("list"))) == ["one:latest", "two:latest"]
    assert listed(house.run_ollama("ps")) == []
    assert house.held() == 0


@pytest.mark.quick
def test_runs_shows_and_stops(house):
    assert house.run_ollama("run", "one", "Say hello.").strip()
    assert listed(house.run_ollama("ps")) == ["one:latest"]
    assert "gemma3" in house.run_ollama("show", "one")
    house.run_ollama("stop", "one")
    house.wait_for_nothing_held(10)
    assert listed(house.run_ollama("ps")) == []


def test_manages_files_without_a_turn(house):
    model_file = house.folder / "Modelfile"
    model_file.write_text(f"FROM {gguf('three')}\n")
    house.run_ollama("create", "three", "-f", str(model_file))
    house.run_ollama("cp", "three", "four")
    assert sorted(listed(house.run_ollama("list"))) == ["four:latest", "one:latest", "three:latest", "two:latest"]
    assert house.held() == 0, "managing files loads nothing"
    house.ask("three")
    house.ask("four")
    house.run_ollama("rm", "three", "four")
    assert sorted(listed(house.run_ollama("list"))) == ["one:latest", "two:latest"]
    house.ask("one")

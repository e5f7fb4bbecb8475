"""AI models whose size is declared too small, or not at all: what is seen of them is learned, lasts, and spoils nobody else."""
import json

from daemon_harness import GiB, wait_until


def footprints(harness):
    rows = json.loads(harness.run_mgpu("footprints", "--json").stdout)["footprints"]
    return {row["ai_model"] or row["consumer"]: row for row in rows}


def ollama_consumer(harness, sizes, declared, reported_percent=100):
    """A fake Ollama with AI models of these sizes, of which `declared` are in the configuration."""
    entry = harness.fake_ollama_consumer(sizes)
    entry["ai_models"] = {name: sizes[name] for name in declared}
    entry["runner"]["process"]["command"] += ["--reported-percent", str(reported_percent)]
    return entry


def test_two_that_declare_too_little_are_learned_for_good(harness):
    """Their jobs are so short that hardly a reading falls between a load and the next eviction."""
    consumers = {name: harness.fake_consumer(name, "5GiB", holds="13GiB", working="0", load_ms=100, run_ms=50)
                 for name in ("chat", "voice")}
    harness.start_with(consumers, gpu="24GiB")
    harness.refusals_allowed = True
    for name in ("chat", "voice"):
        harness.chat(name)
    learned_with = harness.refused_allocations()
    assert learned_with <= 1, "at most the first meeting fails"
    for _ in range(4):
        for name in ("chat", "voice"):
            harness.chat(name)
    assert harness.refused_allocations() == learned_with
    rows = footprints(harness)
    assert [rows[name]["expected_bytes"] for name in ("chat", "voice")] == [13 * GiB, 13 * GiB]

    assert harness.stop_daemon() == 0
    harness.http_client.close()
    harness.start_daemon()

    assert [footprints(harness)[name]["source"] for name in ("chat", "voice")] == ["learned", "learned"]
    for _ in range(2):
        for name in ("chat", "voice"):
            harness.chat(name)
    assert harness.refused_allocations() == learned_with


def test_one_undeclared_beside_declared_ones(harness):
    """Its service tells no sizes, and the driver shows only what the service holds in total."""
    sizes = {"small": "4GiB", "large": "10GiB", "new": "12GiB"}
    harness.start_with({"ollama": ollama_consumer(harness, sizes, ["small", "large"], reported_percent=0)}, gpu="24GiB")
    harness.chat("small")
    harness.chat("large")
    harness.chat("ollama/new")
    wait_until(lambda: footprints(harness)["new:latest"]["expected_bytes"] == 12 * GiB, "its size to be learned")
    for name in ("large", "ollama/new", "small", "ollama/new", "large", "small", "ollama/new"):
        harness.chat(name)
        memory = harness.status()["devices"][0]["memory"]
        assert memory["committed_bytes"] <= 24 * GiB
    assert harness.refused_allocations() == 0
    rows = footprints(harness)
    assert {name: rows[f"{name}:latest"]["expected_bytes"] // GiB for name in sizes} == {"small": 4, "large": 10, "new": 12}


def test_what_its_service_lists_is_the_first_estimate(harness):
    sizes = {"known": "4GiB", "new": "8GiB"}
    harness.start_with({"ollama": ollama_consumer(harness, sizes, ["known"])}, gpu="24GiB")
    harness.chat("known")
    harness.list_services_now()
    harness.chat("ollama/new")
    assert harness.events("evicted") == [], "by its estimate it fits beside the other"
    assert harness.refused_allocations() == 0
    wait_until(lambda: footprints(harness)["new:latest"]["learned"]["footprint_bytes"] == 8 * GiB, "its size to be learned")
    assert footprints(harness)["new:latest"]["source"] == "learned"


def test_three_that_do_not_fit_together_and_understate_themselves(harness):
    """Declared with 2 GiB each, they hold 10: any two fit into 24 GiB, all three do not."""
    names = ["one", "two", "three"]
    entry = ollama_consumer(harness, {name: "10GiB" for name in names}, names, reported_percent=20)
    entry["ai_models"] = {name: "2GiB" for name in names}
    harness.start_with({"ollama": entry}, gpu="24GiB")
    harness.refusals_allowed = True
    for name in names:
        harness.chat(name)
    learned_with = harness.refused_allocations()
    assert learned_with <= 1
    for name in names * 3:
        harness.chat(name)
    assert harness.refused_allocations() == learned_with

"""mgpu simulate: replays a recorded journal or a table under another configuration."""
import json



def recorded_day(harness):
    """Two consumers that do not fit together take turns: (journal, status) of that, as files."""
    harness.start_with({name: harness.fake_consumer(name, "8GiB", load_ms=200, run_ms=50) for name in ("chat", "draw")})
    for name in ("chat", "draw", "chat", "draw"):
        harness.chat(name)
    harness.wait_until_quiet()
    journal, status = harness.folder / "day.jsonl", harness.folder / "status.json"
    journal.write_text(harness.run_mgpu("events", "--json").stdout)
    status.write_text(harness.run_mgpu("status", "--json").stdout)
    return journal, status


def run_simulate(harness, *words):
    result = harness.run_mgpu("simulate", "--config", harness.config_file, "--json", *words)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_a_journal_is_lived_through_again(harness):
    journal, status = recorded_day(harness)
    then = sorted(data["waited_ms"] for _, data in harness.events("granted"))

    [as_it_was] = run_simulate(harness, "--trace", journal, "--footprints", status)["variants"]

    assert as_it_was["jobs"] == 4 and as_it_was["loads"] == 4 and as_it_was["refused"] == 0
    # The model uses the measured durations of loads and evictions; the first load, with a start, may differ from the mean.
    assert abs(as_it_was["wait"]["mean_ms"] - sum(then) / 4) < 0.3 * sum(then) / 4 + 50


def test_more_memory_is_shown_beside_it(harness):
    journal, status = recorded_day(harness)
    as_it_was, larger = run_simulate(harness, "--trace", journal, "--footprints", status, "--device-memory", "24GiB")["variants"]
    assert as_it_was["evictions"] == 3 and larger["evictions"] == 0
    assert larger["loads"] == 2 and larger["wait"]["p50_ms"] < as_it_was["wait"]["p50_ms"]


def test_a_table_and_a_timeline(harness):
    harness.write_config({"chat": harness.fake_consumer("chat"), "draw": harness.fake_consumer("draw")})
    table, picture = harness.folder / "day.csv", harness.folder / "day.svg"
    table.write_text("time,consumer,seconds,flow\n0,chat,2,\n1,draw,1,talk\n0.5,chat,1,talk\n")

    result = harness.run_mgpu("simulate", "--config", harness.config_file, "--trace", table, "--device-memory", "8GiB",
                              "--set", "consumers.chat.pinned=false", "--svg", picture)

    assert result.returncode == 0, result.stderr
    assert "3 jobs" in result.stdout and "affinity, consumers.chat.pinned=false, 8GiB" not in result.stdout
    assert "affinity, consumers.chat.pinned=false" in result.stdout
    assert picture.read_text().count("mean wait") == 2


def test_what_is_wrong_is_said_with_its_place(harness):
    harness.write_config({"chat": harness.fake_consumer("chat")})
    table = harness.folder / "day.csv"
    table.write_text("time,consumer,seconds\n0,chta,2\n")

    def error_output(*words):
        result = harness.run_mgpu("simulate", "--config", harness.config_file, "--trace", table, *words)
        assert result.returncode == 2 and not result.stdout
        return result.stderr

    assert f"{table}: line 2: there is no consumer chta" in error_output()
    table.write_text("time,consumer,seconds\n0,chat,2\n")
    assert "the memory size of gpu0 is unknown" in error_output()
    assert "colour=red: there is no setting" in error_output("--device-memory", "8GiB", "--set", "colour=red")

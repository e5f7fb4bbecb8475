"""mgpu simulate: what a daemon lived through, again in another house."""
import json




def a_day(house):
    """Two consumers that don't fit together take turns; the journal and the status of it as files."""
    house.open({name: house.fake(name, "8GiB", load_ms=200, run_ms=50) for name in ("chat", "draw")})
    for name in ("chat", "draw", "chat", "draw"):
        house.ask(name)
    house.wait_until_quiet()
    journal, status = house.folder / "day.jsonl", house.folder / "status.json"
    journal.write_text(house.mgpu("events", "--json").stdout)
    status.write_text(house.mgpu("status", "--json").stdout)
    return journal, status


def simulated(house, *words):
    told = house.mgpu("simulate", "--config", house.config_file, "--json", *words)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def test_a_journal_is_lived_through_again(house):
    journal, status = a_day(house)
    then = sorted(data["waited_ms"] for _, data in house.events("granted"))

    [as_it_was] = simulated(house, "--trace", journal, "--footprints", status)["variants"]

    assert as_it_was["jobs"] == 4 and as_it_was["loads"] == 4 and as_it_was["refused"] == 0
    # It waited for what the daemon saw its loads and evictions take; the first load, a start, may differ from the mean.
    assert abs(as_it_was["wait"]["mean_ms"] - sum(then) / 4) < 0.3 * sum(then) / 4 + 50


def test_more_memory_is_shown_beside_it(house):
    journal, status = a_day(house)
    as_it_was, larger = simulated(house, "--trace", journal, "--footprints", status, "--device-memory", "24GiB")["variants"]
    assert as_it_was["evictions"] == 3 and larger["evictions"] == 0
    assert larger["loads"] == 2 and larger["wait"]["p50_ms"] < as_it_was["wait"]["p50_ms"]


def test_a_table_and_a_timeline(house):
    house.write_config({"chat": house.fake("chat"), "draw": house.fake("draw")})
    table, picture = house.folder / "day.csv", house.folder / "day.svg"
    table.write_text("time,consumer,seconds,flow\n0,chat,2,\n1,draw,1,talk\n0.5,chat,1,talk\n")

    told = house.mgpu("simulate", "--config", house.config_file, "--trace", table, "--device-memory", "8GiB",
                      "--set", "consumers.chat.pinned=false", "--svg", picture)

    assert told.returncode == 0, told.stderr
    assert "3 jobs" in told.stdout and "affinity, consumers.chat.pinned=false, 8GiB" not in told.stdout
    assert "affinity, consumers.chat.pinned=false" in told.stdout
    assert picture.read_text().count("mean wait") == 2


def test_what_is_wrong_is_said_with_its_place(house):
    house.write_config({"chat": house.fake("chat")})
    table = house.folder / "day.csv"
    table.write_text("time,consumer,seconds\n0,chta,2\n")

    def complaint(*words):
        told = house.mgpu("simulate", "--config", house.config_file, "--trace", table, *words)
        assert told.returncode == 2 and not told.stdout
        return told.stderr

    assert f"{table}: line 2: there is no consumer chta" in complaint()
    table.write_text("time,consumer,seconds\n0,chat,2\n")
    assert "nothing says how large gpu0 is" in complaint()
    assert "colour=red: there is no setting" in complaint("--device-memory", "8GiB", "--set", "colour=red")

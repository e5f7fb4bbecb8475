"""The daemon's store: what it keeps, its limits, a damaged or newer file."""
import sqlite3


def query_store(harness, query):
    with sqlite3.connect(harness.state_file) as file:
        return file.execute(query).fetchall()


def test_finished_jobs_are_kept_within_the_limit(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "5GiB")}, limits={"history_rows": 3})
    for _ in range(5):
        harness.chat("chat")
    harness.stop_daemon()

    kept = query_store(harness, "SELECT ticket, consumer, outcome, waited_us, loading_us, ran_us, who FROM jobs ORDER BY id")

    assert [row[0] for row in kept] == [3, 4, 5]
    assert {row[1:3] for row in kept} == {("chat", "done")}
    assert all(row[5] > 0 and "/v1/chat/completions" in row[6] for row in kept)


def test_none_keeps_nothing(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, store="none")
    harness.chat("chat")
    harness.stop_daemon()
    assert not harness.state_file.exists()


def test_a_damaged_file_is_set_aside(harness):
    harness.state_file.parent.mkdir(parents=True)
    harness.state_file.write_text("no database, whatever its name says")
    harness.start_with({"chat": harness.fake_consumer("chat")})

    assert harness.chat("chat") == "answer of chat"

    assert "is damaged" in harness.daemon.output
    assert harness.state_file.with_name("mgpu.db.damaged").read_text().startswith("no database")


def test_a_file_of_a_newer_mgpu_is_left_alone(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    assert harness.stop_daemon() == 0
    with sqlite3.connect(harness.state_file) as file:
        file.execute("PRAGMA user_version = 999")

    refused = harness.run_mgpu("serve", "--config", harness.config_file)

    assert refused.returncode == 2
    assert "newer mgpu" in refused.stderr and str(harness.state_file) in refused.stderr
    assert query_store(harness, "PRAGMA user_version") == [(999,)]


def test_a_second_daemon_needs_a_file_of_its_own(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, store=str(harness.folder / "own.db"))

    refused = harness.run_mgpu("serve", "--config", harness.config_file)

    assert refused.returncode == 2
    assert "in use by another mgpu" in refused.stderr

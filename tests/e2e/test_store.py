"""What the daemon keeps from one life to the next: the file, its limits, and what happens to a bad one."""
import sqlite3



def rows(house, question):
    with sqlite3.connect(house.state_file) as file:
        return file.execute(question).fetchall()


def test_finished_jobs_are_kept_within_the_limit(house):
    house.open({"chat": house.fake("chat", "5GiB")}, limits={"history_rows": 3})
    for _ in range(5):
        house.ask("chat")
    house.stop_daemon()

    kept = rows(house, "SELECT ticket, consumer, outcome, waited_us, loading_us, ran_us, who FROM jobs ORDER BY id")

    assert [row[0] for row in kept] == [3, 4, 5]
    assert {row[1:3] for row in kept} == {("chat", "done")}
    assert all(row[5] > 0 and "/v1/chat/completions" in row[6] for row in kept)


def test_none_keeps_nothing(house):
    house.open({"chat": house.fake("chat")}, store="none")
    house.ask("chat")
    house.stop_daemon()
    assert not house.state_file.exists()


def test_a_damaged_file_is_set_aside(house):
    house.state_file.parent.mkdir(parents=True)
    house.state_file.write_text("no database, whatever its name says")
    house.open({"chat": house.fake("chat")})

    assert house.ask("chat") == "answer of chat"

    assert "is damaged" in house.daemon.text
    assert house.state_file.with_name("mgpu.db.damaged").read_text().startswith("no database")


def test_a_file_of_a_newer_mgpu_is_left_alone(house):
    house.open({"chat": house.fake("chat")})
    assert house.stop_daemon() == 0
    with sqlite3.connect(house.state_file) as file:
        file.execute("PRAGMA user_version = 999")

    refused = house.mgpu("serve", "--config", house.config_file)

    assert refused.returncode == 2
    assert "newer mgpu" in refused.stderr and str(house.state_file) in refused.stderr
    assert rows(house, "PRAGMA user_version") == [(999,)]


def test_a_second_daemon_needs_a_file_of_its_own(house):
    house.open({"chat": house.fake("chat")}, store=str(house.folder / "own.db"))

    refused = house.mgpu("serve", "--config", house.config_file)

    assert refused.returncode == 2
    assert "in use by another mgpu" in refused.stderr

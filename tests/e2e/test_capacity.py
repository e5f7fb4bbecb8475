"""Capacity and concurrency: which jobs may run at the same time."""
from daemon_harness import run_in_background, overlapping_turns, wait_until


def test_two_turns_run_side_by_side_if_both_fit(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "4GiB", run_ms=600),
                        "voice": harness.fake_consumer("voice", "4GiB", run_ms=600)},
                       devices=[{"id": "gpu0", "capacity": 2}])
    chat = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    harness.chat("voice")
    assert chat.status == 200
    assert overlapping_turns(harness.service_journal()) == {("voice", "chat")}


def test_and_one_after_the_other_if_they_do_not(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "8GiB", run_ms=200),
                        "voice": harness.fake_consumer("voice", "8GiB", run_ms=200)},
                       devices=[{"id": "gpu0", "capacity": 2}])
    chat = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    harness.chat("voice")
    assert chat.status == 200
    assert overlapping_turns(harness.service_journal()) == set()


def test_an_exclusive_consumer_shares_with_nobody(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "4GiB", run_ms=300),
                        "train": harness.fake_consumer("train", "4GiB", run_ms=300, exclusive=True)},
                       devices=[{"id": "gpu0", "capacity": 2}])
    chat = harness.send_raw_chat("chat")
    harness.wait_for_service_journal("start", "chat")
    harness.chat("train")
    assert chat.status == 200
    assert overlapping_turns(harness.service_journal()) == set()


def test_concurrency_within_one_turn(harness):
    harness.start_with({"chat": harness.fake_consumer("chat", "6GiB", working="256MiB", run_ms=2000, concurrency=3)})
    harness.post("/v1/consumers/chat/load")
    answers = [run_in_background(harness.chat, "chat") for _ in range(4)]
    wait_until(lambda: len(harness.tickets(stage="running")) == 3 and len(harness.tickets(stage="waiting")) == 1,
               "three to run at once while the fourth waits")
    assert [answer.result(30) for answer in answers] == ["answer of chat"] * 4

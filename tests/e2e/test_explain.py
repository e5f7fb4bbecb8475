"""The explanation of a wait: which turn, which memory, which load the ticket waited for."""


def run_two_jobs_that_do_not_fit_together(harness, **top):
    """Runs a job of chat, and one of image that has to wait for it; returns their ticket numbers."""
    harness.start_with({"chat": harness.fake_consumer("chat", "8GiB", run_ms=300),
                        "image": harness.fake_consumer("image", "8GiB", load_ms=300)}, **top)
    running = harness.send_raw_chat("chat")
    harness.wait_for_ticket(consumer="chat", stage="running")
    waiting = harness.send_raw_chat("image")
    assert running.status == 200 and waiting.status == 200
    harness.wait_until_quiet()
    return int(running.answer.headers["X-Mgpu-Ticket"]), int(waiting.answer.headers["X-Mgpu-Ticket"])


def test_a_wait_behind_a_turn_an_eviction_and_a_load(harness):
    first, second = run_two_jobs_that_do_not_fit_together(harness)
    explanation = harness.get(f"/v1/tickets/{second}/explanation")

    causes = [segment["cause"] for segment in explanation["segments"]]
    assert causes[0] == "turn" and explanation["segments"][0]["behind"] == first
    assert "eviction" in causes and causes[-1] == "load"
    assert abs(sum(segment["ms"] for segment in explanation["segments"]) - explanation["waited_ms"]) < 1
    for one, next_one in zip(explanation["segments"], explanation["segments"][1:]):
        assert one["until"] == next_one["from"]

    [plan] = explanation["plans"]
    assert [(one["consumer"], one["chosen"]) for one in plan["considered"]] == [("chat", True)]
    [eviction] = explanation["evictions"]
    assert eviction["consumer"] == "chat" and eviction["freed_bytes"] >= 8 << 30
    [load] = explanation["loads"]
    assert load["consumer"] == "image" and load["ms"] >= 300

    printed = harness.run_mgpu("explain", second)
    assert printed.returncode == 0
    assert printed.stdout.splitlines() == explanation["sentences"]
    assert f"behind ticket {first} (chat), which had the turn" in printed.stdout
    assert "Image was loaded in" in printed.stdout


def test_one_that_waits_still_is_explained_until_now(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    holder = harness.post("/v1/leases", {"consumer": "train"}).json()["ticket"]
    waiting = harness.start_program("run", "--consumer", "train", "--", "true")
    ticket = harness.wait_for_ticket(stage="waiting")["ticket"]
    printed = harness.run_mgpu("explain", ticket).stdout
    assert f"behind ticket {holder} (train)" in printed and printed.endswith("It is still waiting.\n")
    harness.http_client.delete(f"/v1/leases/{holder}")
    assert waiting.exit_code() == 0


def test_what_the_journal_no_longer_knows_is_not_made_up(harness):
    _, second = run_two_jobs_that_do_not_fit_together(harness, limits={"events": 5})
    for _ in range(3):
        harness.chat("image")
    assert harness.http_client.get(f"/v1/tickets/{second}/explanation").status_code == 404
    lost = harness.run_mgpu("explain", 999)
    assert lost.returncode == 1 and "nothing is known of ticket 999" in lost.stderr


def test_it_needs_a_ticket_or_a_consumer(harness):
    assert harness.run_mgpu("explain").returncode == 2
    assert harness.run_mgpu("explain", "7", "--next", "chat").returncode == 2

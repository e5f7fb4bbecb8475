"""A client disconnects while its own consumer loads for it."""


def test_nothing_runs_for_it_and_the_next_is_served(harness):
    harness.start_with({"slow": harness.fake_consumer("slow", load_ms=500)})
    client = harness.send_raw_chat("slow", user="gone")
    harness.wait_for_ticket(consumer="slow", stage="preparing")
    harness.wait_for_state("slow", "loading")

    client.close()
    harness.wait_until_quiet()

    assert harness.chat("slow", user="here") == "answer of slow"
    assert {user for _, _, _, user in harness.service_journal()} == {"here"}
    assert len(harness.events("load")) == 1, "the load in progress is used by the next request"

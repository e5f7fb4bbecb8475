"""A waiting client disconnects while the consumer before it in the line loads."""


def test_the_other_load_goes_on_and_the_one_that_left_loads_nothing(harness):
    harness.start_with({"slow": harness.fake_consumer("slow", load_ms=500), "voice": harness.fake_consumer("voice", "8GiB")})
    loading = harness.send_raw_chat("slow")
    harness.wait_for_state("slow", "loading")
    waiting = harness.send_raw_chat("voice")
    harness.wait_for_ticket(consumer="voice", stage="waiting")

    waiting.close()

    assert loading.status == 200
    harness.wait_until_quiet()
    assert harness.state("voice") == "cold" and harness.state("slow") == "warm"
    assert [data["consumer"] for _, data in harness.events("load")] == ["slow"]

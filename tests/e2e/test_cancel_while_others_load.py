"""A client leaves while the consumer before it in the line is loading."""


def test_the_other_load_goes_on_and_the_one_that_left_loads_nothing(house):
    house.open({"slow": house.fake("slow", load_ms=500), "voice": house.fake("voice", "8GiB")})
    loading = house.raw_chat("slow")
    house.wait_for_state("slow", "loading")
    waiting = house.raw_chat("voice")
    house.wait_for_ticket(consumer="voice", stage="waiting")

    waiting.hang_up()

    assert loading.status == 200
    house.wait_until_quiet()
    assert house.state("voice") == "cold" and house.state("slow") == "warm"
    assert [data["consumer"] for _, data in house.events("load")] == ["slow"]

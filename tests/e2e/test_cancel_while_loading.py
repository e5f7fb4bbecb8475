"""A client leaves while its own consumer is loading for it."""


def test_nothing_runs_for_it_and_the_next_is_served(house):
    house.open({"slow": house.fake("slow", load_ms=500)})
    client = house.raw_chat("slow", user="gone")
    house.wait_for_ticket(consumer="slow", stage="preparing")
    house.wait_for_state("slow", "loading")

    client.hang_up()
    house.wait_until_quiet()

    assert house.ask("slow", user="here") == "answer of slow"
    assert {user for _, _, _, user in house.journal()} == {"here"}
    assert len(house.events("load")) == 1, "the load that was under way was not wasted"

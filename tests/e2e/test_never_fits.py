"""A footprint larger than the device is refused at once, saying how much is missing."""
import openai
import pytest


def test_the_error_says_how_much_is_missing(house):
    house.open({"huge": house.fake("huge", "20GiB"), "chat": house.fake("chat")}, gpu="12GiB")
    with pytest.raises(openai.APIStatusError) as told:
        house.ask("huge")
    assert told.value.status_code == 507 and told.value.code == "never_fits"
    assert "GiB" in told.value.message and "missing" in told.value.message
    assert house.ask("chat") == "answer of chat"


def test_a_bare_lease_of_too_much(house):
    house.open({"chat": house.fake("chat")}, gpu="12GiB")
    refused = house.post("/v1/leases", {"bytes": "13GiB"})
    assert refused.status_code == 507 and refused.json()["error"]["code"] == "never_fits"

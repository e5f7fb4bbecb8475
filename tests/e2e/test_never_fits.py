"""A footprint larger than the device is refused at once; the error says how much is missing."""
import openai
import pytest


def test_the_error_says_how_much_is_missing(harness):
    harness.start_with({"huge": harness.fake_consumer("huge", "20GiB"), "chat": harness.fake_consumer("chat")}, gpu="12GiB")
    with pytest.raises(openai.APIStatusError) as raised:
        harness.chat("huge")
    assert raised.value.status_code == 507 and raised.value.code == "never_fits"
    assert "GiB" in raised.value.message and "missing" in raised.value.message
    assert harness.chat("chat") == "answer of chat"


def test_a_bare_lease_of_too_much(harness):
    harness.start_with({"chat": harness.fake_consumer("chat")}, gpu="12GiB")
    refused = harness.post("/v1/leases", {"bytes": "13GiB"})
    assert refused.status_code == 507 and refused.json()["error"]["code"] == "never_fits"

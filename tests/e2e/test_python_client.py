"""The Python client: `with mgpu.lease(...)` holds the turn while its block runs."""
import sys

import pytest

from daemon_harness import TREE, run_in_background, wait_until

sys.path.insert(0, str(TREE / "clients/python"))
import mgpu  # noqa: E402


def test_the_turn_is_held_within_the_block_and_given_back_after_an_exception(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    with pytest.raises(KeyError), mgpu.lease("train", url=harness.url) as lease:
        [running] = harness.tickets()
        assert running["ticket"] == lease.ticket and running["stage"] == "running" and lease.device == "gpu0"
        assert lease.ended() is None
        raise KeyError("the job failed")
    harness.wait_until_quiet()


def test_others_wait_meanwhile_and_hear_their_place(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    places = []
    with mgpu.lease("train", url=harness.url):
        other = run_in_background(mgpu.run, "train", lambda: "ran", url=harness.url, on_waiting=places.append)
        harness.wait_for_ticket(stage="waiting")
        assert not other.done()
    assert other.result(10) == "ran" and places[0] == 1


def test_refusals_have_the_daemons_code(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    for code, arguments in (("not_found", {"consumer": "trian"}), ("never_fits", {"bytes": "99GiB"})):
        with pytest.raises(mgpu.Refused) as raised, mgpu.lease(url=harness.url, **arguments):
            pass
        assert raised.value.code == code
    with mgpu.lease("train", url=harness.url), pytest.raises(mgpu.Refused) as raised:
        mgpu.run("train", lambda: None, wait_limit="100ms", url=harness.url)
    assert raised.value.code == "wait_limit"


def test_a_turn_that_an_operator_ends_is_told(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    with mgpu.lease("train", url=harness.url) as lease:
        harness.http_client.delete(f"/v1/line/{lease.ticket}")
        harness.wait_until_quiet()
        assert wait_until(lease.ended, "the early end").code == "cancelled"

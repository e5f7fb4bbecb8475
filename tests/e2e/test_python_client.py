"""The Python module: `with mgpu.lease(...)` holds the turn while its block runs."""
import sys

import pytest

from house import TREE, background, wait_until

sys.path.insert(0, str(TREE / "clients/python"))
import mgpu  # noqa: E402


def test_the_turn_is_held_within_the_block_and_given_back_after_an_exception(house):
    house.open({"train": {"footprint": "4GiB"}})
    with pytest.raises(KeyError), mgpu.lease("train", url=house.url) as lease:
        [running] = house.line()
        assert running["ticket"] == lease.ticket and running["stage"] == "running" and lease.device == "gpu0"
        assert lease.ended() is None
        raise KeyError("the job failed")
    house.wait_until_quiet()


def test_others_wait_meanwhile_and_hear_their_place(house):
    house.open({"train": {"footprint": "4GiB"}})
    places = []
    with mgpu.lease("train", url=house.url):
        other = background(mgpu.run, "train", lambda: "ran", url=house.url, on_waiting=places.append)
        house.wait_for_ticket(stage="waiting")
        assert not other.done()
    assert other.result(10) == "ran" and places[0] == 1


def test_refusals_have_the_daemons_code(house):
    house.open({"train": {"footprint": "4GiB"}})
    for code, asked in (("not_found", {"consumer": "trian"}), ("never_fits", {"bytes": "99GiB"})):
        with pytest.raises(mgpu.Refused) as told, mgpu.lease(url=house.url, **asked):
            pass
        assert told.value.code == code
    with mgpu.lease("train", url=house.url), pytest.raises(mgpu.Refused) as told:
        mgpu.run("train", lambda: None, wait_limit="100ms", url=house.url)
    assert told.value.code == "wait_limit"


def test_a_turn_that_an_operator_ends_is_told(house):
    house.open({"train": {"footprint": "4GiB"}})
    with mgpu.lease("train", url=house.url) as lease:
        house.http.delete(f"/v1/line/{lease.ticket}")
        house.wait_until_quiet()
        assert wait_until(lease.ended, "the news").code == "cancelled"

"""The C++ library takes turns from another process."""
import signal


def test_two_processes_take_turns(house):
    house.open({"train": {"footprint": "4GiB"}})
    first = house.start("train", "300", program="mgpu_client_example")
    first.wait_for("running ticket 1")
    second = house.start("train", "50", program="mgpu_client_example")
    second.wait_for("waiting at place 1")
    assert first.exit_code() == 0 and second.exit_code() == 0
    assert "done" in first.text and "running ticket 2" in second.text
    house.wait_until_quiet()
    assert house.status()["total_jobs"] == 2


def test_a_killed_holder_gives_its_turn_back(house):
    house.open({"train": {"footprint": "4GiB"}})
    holder = house.start("train", "60000", program="mgpu_client_example")
    holder.wait_for("running ticket")
    holder.signal(signal.SIGKILL)
    house.wait_until_quiet()


def test_a_refusal_says_why(house):
    house.open({"train": {"footprint": "4GiB"}})
    refused = house.start("trian", "1", program="mgpu_client_example")
    assert refused.exit_code() == 1 and "not_found" in refused.text and "train" in refused.text

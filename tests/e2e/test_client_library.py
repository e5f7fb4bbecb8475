"""The C++ client library takes leases from another process."""
import signal


def test_two_processes_take_turns(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    first = harness.start_program("train", "300", program="mgpu_client_example")
    first.wait_for_output("running ticket 1")
    second = harness.start_program("train", "50", program="mgpu_client_example")
    second.wait_for_output("waiting at place 1")
    assert first.exit_code() == 0 and second.exit_code() == 0
    assert "done" in first.output and "running ticket 2" in second.output
    harness.wait_until_quiet()
    assert harness.status()["total_jobs"] == 2


def test_a_killed_holder_gives_its_turn_back(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    holder = harness.start_program("train", "60000", program="mgpu_client_example")
    holder.wait_for_output("running ticket")
    holder.signal(signal.SIGKILL)
    harness.wait_until_quiet()


def test_a_refusal_says_why(harness):
    harness.start_with({"train": {"footprint": "4GiB"}})
    refused = harness.start_program("trian", "1", program="mgpu_client_example")
    assert refused.exit_code() == 1 and "not_found" in refused.output and "train" in refused.output

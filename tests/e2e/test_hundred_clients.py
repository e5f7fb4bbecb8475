"""100 clients of three consumers that do not fit together: one line, one turn at a time, no refused allocation."""
import random

import pytest

from daemon_harness import run_in_background, overlapping_turns


@pytest.mark.parametrize("policy", ["fifo", "affinity"])
def test_everyone_is_served_once_and_in_the_order_of_the_policy(harness, policy):
    names = ["chat", "speech", "voice"]
    harness.start_with({name: harness.fake_consumer(name, "6GiB", working="1GiB", run_ms=5) for name in names}, policy=policy)
    rng = random.Random(1)
    requested = [rng.choice(names) for _ in range(100)]

    def send_chat(number, name):
        with harness.openai() as client:
            raw = client.chat.completions.with_raw_response.create(model=name, messages=[], user=f"client-{number}")
        return int(raw.headers["x-mgpu-ticket"]), f"client-{number}", raw.parse().choices[0].message.content

    answers = [run_in_background(send_chat, number, name) for number, name in enumerate(requested)]
    answers = [answer.result(150) for answer in answers]

    assert [text for _, _, text in answers] == [f"answer of {name}" for name in requested]
    journal = harness.service_journal()
    served = [user for what, _, _, user in journal if what == "start"]
    assert len(served) == len(set(served)) == 100, "each request must reach a service exactly once"
    assert overlapping_turns(journal) == set()
    if policy == "fifo":
        assert served == [user for _, user, _ in sorted(answers)], "fifo must serve in the order of arrival"
    for name in names:  # within one consumer, under each policy: in the order of arrival
        mine = [user for (_, user, text) in sorted(answers) if text == f"answer of {name}"]
        assert [user for user in served if user in set(mine)] == mine
    harness.wait_until_quiet()
    assert harness.status()["total_jobs"] == 100

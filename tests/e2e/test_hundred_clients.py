"""A hundred clients on three consumers that do not fit together: one line, one turn at a time, no refused allocation."""
import random

import pytest

from house import background, turns_that_overlap


@pytest.mark.parametrize("policy", ["fifo", "affinity"])
def test_everyone_is_served_once_and_in_the_order_of_the_policy(house, policy):
    names = ["chat", "speech", "voice"]
    house.open({name: house.fake(name, "6GiB", working="1GiB", run_ms=5) for name in names}, policy=policy)
    dice = random.Random(1)
    wanted = [dice.choice(names) for _ in range(100)]

    def ask(number, name):
        with house.openai() as client:
            raw = client.chat.completions.with_raw_response.create(model=name, messages=[], user=f"client-{number}")
        return int(raw.headers["x-mgpu-ticket"]), f"client-{number}", raw.parse().choices[0].message.content

    answers = [background(ask, number, name) for number, name in enumerate(wanted)]
    answers = [answer.result(150) for answer in answers]

    assert [text for _, _, text in answers] == [f"answer of {name}" for name in wanted]
    journal = house.journal()
    served = [user for what, _, _, user in journal if what == "start"]
    assert len(served) == len(set(served)) == 100, "each request reached a service exactly once"
    assert turns_that_overlap(journal) == set()
    if policy == "fifo":
        assert served == [user for _, user, _ in sorted(answers)], "the order of service is the order of arrival"
    for name in names:  # whatever the policy, within one consumer
        mine = [user for (_, user, text) in sorted(answers) if text == f"answer of {name}"]
        assert [user for user in served if user in set(mine)] == mine
    house.wait_until_quiet()
    assert house.status()["total_jobs"] == 100

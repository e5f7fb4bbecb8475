"""The daemon takes as many descriptors as it may have, and holds no more connections than they are enough for."""
import re
import resource

import pytest


@pytest.fixture
def with_limit(house):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def open_with(soft_limit, hard_limit, **top):
        house.make_gpu("12GiB")
        house.write_config({"chat": house.fake("chat")}, **top)
        house.daemon = house.start("serve", "--config", house.config_file,
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft_limit, hard_limit)))
        house.connect(house.daemon.wait_for(r"listening on (http://[^\s,]+)")[1])

    house.open_with = open_with
    return house


def test_the_soft_limit_is_raised_to_the_hard_one(with_limit):
    with_limit.open_with(256, 20_000)
    limits = open(f"/proc/{with_limit.daemon.pid}/limits").read()
    assert re.search(r"Max open files +20000 +20000", limits)
    assert "max_connections" not in with_limit.daemon.text
    assert with_limit.ask("chat")


def test_connections_fit_the_hard_limit(with_limit):
    with_limit.open_with(256, 1024)
    found = with_limit.daemon.wait_for(r"limits.max_connections is (\d+) instead of 4096: only 1024 files may be open at once")
    assert 200 < int(found[1]) < 340
    assert with_limit.ask("chat")

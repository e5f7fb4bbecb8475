"""The daemon raises its limit of descriptors as far as it may, and accepts no more connections than the limit allows."""
import re
import resource

import pytest


@pytest.fixture
def descriptor_limit_harness(harness):
    """The harness with start_with_limits(soft, hard), which starts the daemon under these limits of open files."""
    def start_with_limits(soft_limit, hard_limit, **top):
        harness.make_gpu("12GiB")
        harness.write_config({"chat": harness.fake_consumer("chat")}, **top)
        limits = (soft_limit, hard_limit)
        harness.daemon = harness.start_program("serve", "--config", harness.config_file,
                                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits))
        harness.connect(harness.daemon.wait_for_output(r"listening on (http://[^\s,]+)")[1])

    harness.start_with_limits = start_with_limits
    return harness


def test_the_soft_limit_is_raised_to_the_hard_one(descriptor_limit_harness):
    descriptor_limit_harness.start_with_limits(256, 20_000)
    limits = open(f"/proc/{descriptor_limit_harness.daemon.pid}/limits").read()
    assert re.search(r"Max open files +20000 +20000", limits)
    assert "max_connections" not in descriptor_limit_harness.daemon.output
    assert descriptor_limit_harness.chat("chat")


def test_connections_fit_the_hard_limit(descriptor_limit_harness):
    descriptor_limit_harness.start_with_limits(256, 1024)
    match = descriptor_limit_harness.daemon.wait_for_output(
        r"limits.max_connections is (\d+) instead of 4096: only 1024 files may be open at once")
    assert 200 < int(match[1]) < 340
    assert descriptor_limit_harness.chat("chat")

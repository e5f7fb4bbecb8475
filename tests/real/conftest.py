"""The fixture `harness`: a RealHarness for each test. Tests marked `quick` take seconds on a machine that does nothing else."""
import real_parts  # first: it makes the harness of the end-to-end tests importable
import pytest

from real_harness import RealHarness


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: takes seconds; CI runs it where build/real is cached")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    harness = item.funcargs.get("harness")
    if report.failed and harness and harness.daemon:
        report.sections.append(("output of the daemon", harness.daemon.output[-6000:]))


@pytest.fixture
def harness(tmp_path):
    harness = RealHarness(tmp_path)
    yield harness
    complaints = harness.stop_and_check()
    assert not complaints, "\n".join(complaints)

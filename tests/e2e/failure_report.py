"""For the conftest of each suite whose tests have a fixture `harness`: a failed test is reported with the daemon's output, also
when only the teardown fails."""
import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    harness = item.funcargs.get("harness")
    if report.failed and harness and harness.daemon:
        report.sections.append(("output of the daemon", harness.daemon.output[-6000:]))


def run_checked(harness):
    """The body of the fixture: the harness for the test, then what is wrong at its end."""
    yield harness
    complaints = harness.stop_and_check()
    assert not complaints, "\n".join(complaints)

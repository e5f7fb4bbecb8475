"""The fixture `harness`: a DaemonHarness for each test. Without the built programs the session does not start."""
import pytest

from daemon_harness import BIN, DaemonHarness


def pytest_sessionstart(session):
    missing = [name for name in ("mgpu", "mgpu-simgpu", "mgpu-fake-service", "libmgpu-simgpu.so") if not (BIN / name).exists()]
    if missing:
        raise pytest.UsageError(f"{BIN} lacks {', '.join(missing)}: build first, or set MGPU_BUILD to another build")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    # A failed test is reported with the daemon's output, also when only the teardown fails.
    harness = item.funcargs.get("harness")
    if report.failed and harness and harness.daemon:
        report.sections.append(("output of the daemon", harness.daemon.output[-6000:]))


@pytest.fixture
def harness(tmp_path):
    harness = DaemonHarness(tmp_path)
    yield harness
    complaints = harness.stop_and_check()
    assert not complaints, "\n".join(complaints)

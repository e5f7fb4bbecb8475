"""The fixture `harness`: a DaemonHarness for each test. Without the built programs the session does not start."""
import pytest

from daemon_harness import BIN, DaemonHarness
from failure_report import pytest_runtest_makereport, run_checked  # noqa: F401: pytest finds the hook by its name


def pytest_sessionstart(session):
    missing = [name for name in ("mgpu", "mgpu-simgpu", "mgpu-fake-service", "libmgpu-simgpu.so") if not (BIN / name).exists()]
    if missing:
        raise pytest.UsageError(f"{BIN} lacks {', '.join(missing)}: build first, or set MGPU_BUILD to another build")


@pytest.fixture
def harness(tmp_path):
    yield from run_checked(DaemonHarness(tmp_path))

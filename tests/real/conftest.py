"""The fixture `harness`: a RealHarness for each test. Tests marked `quick` take seconds on a machine that does nothing else."""
import real_parts  # first: it makes the harness of the end-to-end tests importable
import pytest

from failure_report import pytest_runtest_makereport, run_checked  # noqa: F401: pytest finds the hook by its name
from real_harness import RealHarness


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: takes seconds; CI runs it where build/real is cached")


@pytest.fixture
def harness(tmp_path):
    yield from run_checked(RealHarness(tmp_path))

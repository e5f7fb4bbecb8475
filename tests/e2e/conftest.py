"""The fixture of every story: a house of its own."""
import pytest

from house import BIN, House


def pytest_sessionstart(session):
    missing = [name for name in ("mgpu", "mgpu-simgpu", "mgpu-fake-service", "libmgpu-simgpu.so") if not (BIN / name).exists()]
    if missing:
        raise pytest.UsageError(f"{BIN} lacks {', '.join(missing)}: build first, or name another build in MGPU_BUILD")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    # What the daemon said belongs to the failure; when tearing down fails, too.
    house = item.funcargs.get("house")
    if report.failed and house and house.daemon:
        report.sections.append(("the daemon said", house.daemon.text[-6000:]))


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    complaints = house.leave()
    assert not complaints, "\n".join(complaints)

"""Who works in a service's container is the service's, though no tree leads from one to the other."""
import os
import pathlib
import secrets

import pytest

from house import GiB, free_port, in_bytes, wait_until


@pytest.fixture
def container():
    """A cgroup that is named as Docker names a container's. Making one takes rights that not every machine gives."""
    for hierarchy in ("systemd", "unified", ""):
        folder = pathlib.Path("/sys/fs/cgroup", hierarchy, f"docker-{secrets.token_hex(32)}.scope")
        try:
            folder.mkdir()
            (folder / "cgroup.procs").read_text()
        except OSError:
            continue
        yield folder
        wait_until(lambda: not (folder / "cgroup.procs").read_text(), "the container to be empty")
        folder.rmdir()
        return
    pytest.skip("no cgroup can be made here")


def test_its_bytes_are_no_strangers(house, container):
    def enter():
        (container / "cgroup.procs").write_text(str(os.getpid()))

    port = free_port()
    house.make_gpu("12GiB")
    house.start("--name", "chat", "--port", port, "--bytes", in_bytes("6GiB"), "--journal", house.journal_file, "--lazy",
                program="mgpu-fake-service", preexec_fn=enter)
    worker = house.start("hold", "3GiB", program="mgpu-simgpu", preexec_fn=enter)
    stranger = house.start("hold", "1GiB", program="mgpu-simgpu")
    house.write_config({"chat": {"footprint": "6GiB", "url": f"http://127.0.0.1:{port}"}})
    house.start_daemon()

    def memory():
        return house.status()["devices"][0]["memory"]

    wait_until(lambda: [owner["measured_bytes"] for owner in memory()["by_consumer"]] == [3 * GiB], "the worker to be chat's")
    assert memory()["foreign_bytes"] == GiB
    assert [process["pid"] for process in memory()["foreign_processes"]] == [stranger.pid]
    for program in house.programs[:3]:
        program.kill()
    worker.exit_code()

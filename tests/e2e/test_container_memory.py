"""A process in the same container as a service belongs to that service, even outside its process tree."""
import os
import pathlib
import secrets

import pytest

from daemon_harness import GiB, free_port, parse_size, wait_until


@pytest.fixture
def container_cgroup():
    """A cgroup with a name as Docker gives it; skips the test without the permission to create one."""
    for hierarchy in ("systemd", "unified", ""):
        folder = pathlib.Path("/sys/fs/cgroup", hierarchy, f"docker-{secrets.token_hex(32)}.scope")
        try:
            folder.mkdir()
            (folder / "cgroup.procs").read_text()
        except OSError:
            continue
        yield folder
        wait_until(lambda: not (folder / "cgroup.procs").read_text(), "the cgroup to be empty")
        folder.rmdir()
        return
    pytest.skip("no permission to create a cgroup")


def test_its_bytes_are_no_strangers(harness, container_cgroup):
    def join_cgroup():
        (container_cgroup / "cgroup.procs").write_text(str(os.getpid()))

    port = free_port()
    harness.make_gpu("12GiB")
    harness.start_program("--name", "chat", "--port", port, "--bytes", parse_size("6GiB"),
                          "--journal", harness.service_journal_file, "--lazy", program="mgpu-fake-service",
                          preexec_fn=join_cgroup)
    worker = harness.start_program("hold", "3GiB", program="mgpu-simgpu", preexec_fn=join_cgroup)
    foreign = harness.start_program("hold", "1GiB", program="mgpu-simgpu")
    harness.write_config({"chat": {"footprint": "6GiB", "url": f"http://127.0.0.1:{port}"}})
    harness.start_daemon()

    def device_memory():
        return harness.status()["devices"][0]["memory"]

    wait_until(lambda: [owner["measured_bytes"] for owner in device_memory()["by_consumer"]] == [3 * GiB], 
               "the worker's memory to be attributed to chat")
    assert device_memory()["foreign_bytes"] == GiB
    assert [process["pid"] for process in device_memory()["foreign_processes"]] == [foreign.pid]
    for program in harness.processes_started[:3]:
        program.kill()
    worker.exit_code()

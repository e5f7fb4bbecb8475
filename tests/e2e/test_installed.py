"""`cmake --install` gives a usable copy: the daemon, its simulated GPU, the CMake package."""
import re
import subprocess

import pytest

from daemon_harness import BUILD, TREE


def cmake_cache_value(name):
    """The value of a variable in the build's CMake cache."""
    return re.search(rf"^{name}:\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.MULTILINE)[1]


@pytest.fixture
def install_prefix(tmp_path):
    """The prefix that the build was installed to."""
    prefix = tmp_path / "usr"
    subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True, capture_output=True)
    return prefix


def test_the_daemon_finds_its_simulated_gpu(harness, install_prefix):
    del harness.env["MGPU_NVML_LIBRARY"], harness.env["MGPU_SIMGPU"]
    harness.write_config({"train": {"footprint": "4GiB"}})
    daemon = harness.start_program("serve", "--config", harness.config_file, "--simulated", "8GiB",
                                   program=install_prefix / "bin/mgpu")
    daemon.wait_for_output(r"listening on http://\S+, gpu0 Simulated GPU 8.0 GiB")
    daemon.child.terminate()
    assert daemon.exit_code() == 0
    assert (install_prefix / "bin/mgpu-simgpu").exists() and (install_prefix / "include/mgpu/simgpu.h").exists()


def test_another_project_builds_with_the_package(harness, install_prefix):
    """examples/client is a project of its own, which finds the library with find_package."""
    build = harness.folder / "example"
    sanitizers = cmake_cache_value("MGPU_SANITIZE")
    options = {"CMAKE_PREFIX_PATH": install_prefix, "CMAKE_CXX_COMPILER": cmake_cache_value("CMAKE_CXX_COMPILER"),
               "CMAKE_CXX_FLAGS": f"-fsanitize={sanitizers}" if sanitizers else ""}
    for command in (["-G", "Ninja", "-S", TREE / "examples/client", "-B", build, *(f"-D{k}={v}" for k, v in options.items())],
                    ["--build", build]):
        result = subprocess.run(["cmake", *command], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr

    harness.start_with({"train": {"footprint": "4GiB"}})
    example = harness.start_program("train", "10", program=build / "mgpu_client_example")
    assert example.exit_code() == 0 and "running ticket 1" in example.output

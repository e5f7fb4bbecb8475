"""What `cmake --install` leaves behind works away from the tree: the daemon, its simulated GPU, the CMake package."""
import re
import subprocess

import pytest

from house import BUILD, TREE


def cached(name):
    """What the build was configured with."""
    return re.search(rf"^{name}:\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.MULTILINE)[1]


@pytest.fixture
def installed(tmp_path):
    """The folder of an installation."""
    prefix = tmp_path / "usr"
    subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True, capture_output=True)
    return prefix


def test_the_daemon_finds_its_simulated_gpu(house, installed):
    del house.env["MGPU_NVML_LIBRARY"], house.env["MGPU_SIMGPU"]
    house.write_config({"train": {"footprint": "4GiB"}})
    daemon = house.start("serve", "--config", house.config_file, "--simulated", "8GiB", program=installed / "bin/mgpu")
    daemon.wait_for(r"listening on http://\S+, gpu0 Simulated GPU 8.0 GiB")
    daemon.child.terminate()
    assert daemon.exit_code() == 0
    assert (installed / "bin/mgpu-simgpu").exists() and (installed / "include/mgpu/simgpu.h").exists()


def test_another_project_builds_with_the_package(house, installed):
    """The example is another project: it knows the library by find_package alone."""
    build = house.folder / "example"
    sanitizers = cached("MGPU_SANITIZE")
    options = {"CMAKE_PREFIX_PATH": installed, "CMAKE_CXX_COMPILER": cached("CMAKE_CXX_COMPILER"),
               "CMAKE_CXX_FLAGS": f"-fsanitize={sanitizers}" if sanitizers else ""}
    for command in (["-G", "Ninja", "-S", TREE / "examples/client", "-B", build, *(f"-D{k}={v}" for k, v in options.items())],
                    ["--build", build]):
        made = subprocess.run(["cmake", *command], capture_output=True, text=True)
        assert made.returncode == 0, made.stdout + made.stderr

    house.open({"train": {"footprint": "4GiB"}})
    example = house.start("train", "10", program=build / "mgpu_client_example")
    assert example.exit_code() == 0 and "running ticket 1" in example.text

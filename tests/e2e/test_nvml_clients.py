"""The simulated GPU is loaded as libnvidia-ml.so.1 by the programs that people watch their GPU with."""
import json
import subprocess
import sys
import textwrap

import pytest

from daemon_harness import BIN, GiB, MiB, wait_until

HELD = {0: 3 * GiB, 2: 1 * GiB}  # a whole device, and the first slice of device 1


@pytest.fixture
def driver(harness):
    """Runs programs that find the simulated GPU where they look for the driver's library."""
    harness.simgpu("create", "--device", "24GiB", "--reserved", "300MiB", "--device", "12GiB", "--mig", "1=6GiB,4GiB")
    for device, held in HELD.items():
        harness.start_program("hold", str(held), "--device", str(device), program="mgpu-simgpu")
    wait_until(lambda: all(harness.gpu_states()[device]["used"] == held for device, held in HELD.items()), "the held memory")
    folder = harness.folder / "driver"
    folder.mkdir()
    (folder / "libnvidia-ml.so.1").symlink_to(BIN / "libmgpu-simgpu.so")
    return Driver(harness, {**harness.env, "LD_LIBRARY_PATH": str(folder), "COLUMNS": "160"})


class Driver:
    def __init__(self, harness, env):
        self.harness, self.env = harness, env

    def run(self, *command):
        done = subprocess.run([str(word) for word in command], env=self.env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run_python(self, lines):
        """What the lines put into `result`, in a process of their own."""
        return json.loads(self.run(sys.executable, "-c", PRELUDE + textwrap.dedent(lines) + "\nprint(json.dumps(result))"))


PRELUDE = """
import ctypes, json
import pynvml as nvml

def device_from(number):
    return ctypes.cast(number, nvml.c_nvmlDevice_t)

def error_of(function, *arguments):
    try:
        return f"no error, but {function(*arguments)}"
    except nvml.NVMLError as error:
        return type(error).__name__
"""

READ_ALL = """
    nvml.nvmlInit()
    wholes = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    slices = [nvml.nvmlDeviceGetMigDeviceHandleByIndex(wholes[1], slot) for slot in range(2)]
    result = []
    for handle in wholes + slices:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle, nvml.nvmlMemory_v2)
        assert nvml.nvmlDeviceGetMemoryInfo(handle).used == memory.used + memory.reserved
        assert memory.total == memory.used + memory.reserved + memory.free
        lists = [[(process.pid, process.usedGpuMemory) for process in listed(handle)] for listed in (
            nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetComputeRunningProcesses_v2)]
        assert lists[0] == lists[1], lists
        result.append({"index": nvml.nvmlDeviceGetIndex(handle), "name": nvml.nvmlDeviceGetName(handle),
                       "uuid": nvml.nvmlDeviceGetUUID(handle), "total": memory.total, "reserved": memory.reserved,
                       "used": memory.used, "processes": lists[0]})
"""


def test_nvidia_ml_py_reads_what_the_simulator_shows(driver):
    shown = [{**{key: device[key] for key in ("index", "name", "uuid", "total", "reserved", "used")},
              "processes": [[process["pid"], process["bytes"]] for process in device["processes"]]}
             for device in driver.harness.gpu_states()]
    assert [device["used"] for device in shown] == [HELD.get(index, 0) for index in range(4)]
    assert driver.run_python(READ_ALL) == shown


def test_a_device_is_found_by_its_uuid_and_its_bus(driver):
    assert driver.run_python("""
        nvml.nvmlInit()
        device = nvml.nvmlDeviceGetHandleByIndex(1)
        slice = nvml.nvmlDeviceGetMigDeviceHandleByIndex(device, 1)
        bus = nvml.nvmlDeviceGetPciInfo(device)
        result = [nvml.nvmlDeviceGetIndex(found) for found in (
            nvml.nvmlDeviceGetHandleByPciBusId(bus.busId), nvml.nvmlDeviceGetHandleByPciBusId(bus.busIdLegacy),
            nvml.nvmlDeviceGetHandleByUUID(nvml.nvmlDeviceGetUUID(device)),
            nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(slice))]
    """) == [1, 1, 1, 1]


def test_functions_of_a_library_that_is_shut_down_say_uninitialized(driver):
    """Initializations are counted: the library is in use until each has been shut down."""
    assert driver.run_python("""
        def calls_with(device):
            return {error_of(*call) for call in (
                (nvml.nvmlDeviceGetCount,), (nvml.nvmlDeviceGetHandleByIndex, 0), (nvml.nvmlSystemGetDriverVersion,),
                (nvml.nvmlDeviceGetName, device), (nvml.nvmlDeviceGetMemoryInfo, device), (nvml.nvmlDeviceGetFanSpeed, device),
                (nvml.nvmlDeviceGetComputeRunningProcesses, device), (nvml.nvmlShutdown,))}

        nvml._LoadNvmlLibrary()
        before = calls_with(device_from(1))
        nvml.nvmlInit()
        nvml.nvmlInit()
        device = nvml.nvmlDeviceGetHandleByIndex(0)
        nvml.nvmlShutdown()
        still = nvml.nvmlDeviceGetName(device)
        nvml.nvmlShutdown()
        after = calls_with(device)
        nvml.nvmlInit()
        result = [list(before), still, list(after), nvml.nvmlDeviceGetName(device)]
    """) == [["NVMLError_Uninitialized"], "Simulated GPU", ["NVMLError_Uninitialized"], "Simulated GPU"]


def test_what_a_simulated_gpu_lacks_is_refused_like_a_driver(driver):
    driver.harness.simgpu("fault", "--device", "1", "--lost")
    assert driver.run_python("""
        nvml.nvmlInit()
        device, lost = nvml.nvmlDeviceGetHandleByIndex(0), nvml.nvmlDeviceGetHandleByIndex(1)
        result = [error_of(nvml.nvmlDeviceGetFanSpeed, device), error_of(nvml.nvmlDeviceGetNvLinkState, device, 0),
                  error_of(nvml.nvmlDeviceGetFanSpeed, lost), error_of(nvml.nvmlDeviceGetName, lost),
                  error_of(nvml.nvmlDeviceGetName, device_from(99)), error_of(nvml.nvmlDeviceGetHandleByIndex, 2),
                  error_of(nvml.nvmlDeviceGetHandleByUUID, "GPU-unknown"),
                  nvml.nvmlErrorString(nvml.NVML_ERROR_FUNCTION_NOT_FOUND), nvml.nvmlErrorString(12345)]
    """) == ["NVMLError_NotSupported", "NVMLError_FunctionNotFound", "NVMLError_GpuIsLost", "NVMLError_GpuIsLost",
             "NVMLError_InvalidArgument", "NVMLError_InvalidArgument", "NVMLError_NotFound", "Function Not Found",
             "Unknown Error"]


def test_without_its_file_the_driver_is_not_loaded(driver):
    driver.env["MGPU_SIMGPU"] = str(driver.harness.folder / "missing")
    assert driver.run_python("result = [error_of(nvml.nvmlInit), error_of(nvml.nvmlDeviceGetCount)]") == [
        "NVMLError_DriverNotLoaded", "NVMLError_Uninitialized"]


def test_hidden_figures_of_processes_are_not_available(driver):
    driver.harness.simgpu("fault", "--hide-processes")
    assert driver.run_python("""
        nvml.nvmlInit()
        processes = nvml.nvmlDeviceGetComputeRunningProcesses(nvml.nvmlDeviceGetHandleByIndex(0))
        result = [process.usedGpuMemory for process in processes]
    """) == [None]


def test_gpustat_shows_what_the_simulator_shows(driver):
    gpus = json.loads(driver.run(sys.executable, "-m", "gpustat", "--json", "--show-all"))["gpus"]
    for gpu, device in zip(gpus, driver.harness.gpu_states()[:2], strict=True):
        assert (gpu["uuid"], gpu["name"]) == (device["uuid"], device["name"])
        assert (gpu["memory.used"] * MiB, gpu["memory.total"] * MiB) == (device["used"], device["total"])
        assert [(process["pid"], process["gpu_memory_usage"] * MiB) for process in gpu["processes"]] == [
            (process["pid"], process["bytes"]) for process in device["processes"]]


def test_nvitop_shows_what_the_simulator_shows(driver):
    listed = driver.run_python("""
        import nvitop
        result = [{"uuid": device.uuid(), "used": device.memory_used(), "total": device.memory_total(),
                   "processes": {str(pid): process.gpu_memory() for pid, process in device.processes().items()}}
                  for whole in nvitop.Device.all() for device in [whole, *whole.mig_devices()]]
    """)
    states = driver.harness.gpu_states()
    assert listed == [{"uuid": device["uuid"], "used": device["used"], "total": device["total"],
                       "processes": {str(process["pid"]): process["bytes"] for process in device["processes"]}}
                      for device in states]
    screen = driver.run(sys.executable, "-m", "nvitop", "--once")
    holder = states[0]["processes"][0]["pid"]
    assert "3072MiB / 24.00GiB" in screen and f" {holder} " in screen and "mgpu-simgpu hold" in screen, screen

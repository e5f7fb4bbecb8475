"""The simulated GPU for the demo's programs: allocate and free bytes; refused with an out-of-memory error as by CUDA."""
import contextlib
import ctypes
import os

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class OutOfMemory(RuntimeError):
    pass


def parse_bytes(text):
    """"5GiB" -> 5368709120, for argparse."""
    return int(float(text[:-3]) * UNITS[text[-3:]])


def allocate(amount):
    """Allocates `amount` bytes for this process, until it frees them or ends."""
    error = _library().mgpu_simgpu_alloc(0, ctypes.c_uint64(amount))
    if error == 2:
        raise OutOfMemory(f"CUDA out of memory. Tried to allocate {amount / (1 << 30):.2f} GiB.")
    if error:
        raise RuntimeError(f"the simulated GPU returned error {error}; is MGPU_SIMGPU set?")


def free(amount):
    _library().mgpu_simgpu_free(0, ctypes.c_uint64(amount))


@contextlib.contextmanager
def allocated(amount):
    """Holds `amount` bytes within the `with` block."""
    allocate(amount)
    try:
        yield
    finally:
        free(amount)


def _library():
    return ctypes.CDLL(os.environ["MGPU_NVML_LIBRARY"])

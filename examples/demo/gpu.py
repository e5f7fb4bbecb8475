"""The simulated GPU, as the demo's consumers use it: take bytes, give them back, or be refused like CUDA refuses."""
import contextlib
import ctypes
import os

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class OutOfMemory(RuntimeError):
    pass


def parse_bytes(text):
    """"5GiB" -> 5368709120, for argparse."""
    return int(float(text[:-3]) * UNITS[text[-3:]])


def take(amount):
    """Takes `amount` bytes for this process, until it gives them back or dies."""
    refused = _library().mgpu_simgpu_alloc(0, ctypes.c_uint64(amount))
    if refused == 2:
        raise OutOfMemory(f"CUDA out of memory. Tried to allocate {amount / (1 << 30):.2f} GiB.")
    if refused:
        raise RuntimeError(f"the simulated GPU answered {refused}; is MGPU_SIMGPU set?")


def give(amount):
    _library().mgpu_simgpu_free(0, ctypes.c_uint64(amount))


@contextlib.contextmanager
def borrowed(amount):
    """What a job needs while it works."""
    take(amount)
    try:
        yield
    finally:
        give(amount)


def _library():
    return ctypes.CDLL(os.environ["MGPU_NVML_LIBRARY"])

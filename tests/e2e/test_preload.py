"""With libmgpu-simgpu-preload.so, a program that computes on the CPU holds the simulated GPU's bytes for its large blocks."""
import json
import subprocess
import sys
import textwrap

import pytest

from daemon_harness import BIN, MiB

PRELUDE = """
import ctypes, errno, json, mmap, os, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)
for name in ("malloc", "calloc", "realloc", "aligned_alloc"):
    getattr(libc, name).restype = ctypes.c_void_p
for name in ("free", "realloc"):
    getattr(libc, name).argtypes = [ctypes.c_void_p, ctypes.c_size_t][:2 if name == "realloc" else 1]
MiB = 1 << 20

def held(device=0, pid=None):
    shown = json.loads(subprocess.run([SIMGPU, "show", "--json"], capture_output=True, check=True).stdout)["devices"][device]
    return sum(process["bytes"] for process in shown["processes"] if process["pid"] == (pid or os.getpid())) // MiB
"""


@pytest.fixture
def run_preloaded(harness):
    """Runs lines of Python with the library, on a GPU of 1 GiB and one of 2 GiB. Returns what they put into `result`."""
    harness.make_gpu("1GiB", "2GiB")
    harness.refusals_allowed = True
    weights = harness.folder / "weights.gguf"
    with weights.open("wb") as file:
        file.truncate(300 * MiB)

    def run(lines, **env):
        setup = f"SIMGPU, WEIGHTS = {str(BIN / 'mgpu-simgpu')!r}, {str(weights)!r}\n"
        env = {**harness.env, "LD_PRELOAD": str(BIN / "libmgpu-simgpu-preload.so"), **env}
        text = setup + PRELUDE + textwrap.dedent(lines) + "\nprint(json.dumps(result))"
        done = subprocess.run([sys.executable, "-c", text], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    run.harness = harness
    return run


def test_a_block_is_held_until_it_is_freed(run_preloaded):
    assert run_preloaded("""
        result = []
        for allocate in (lambda: libc.malloc(100 * MiB), lambda: libc.calloc(100, MiB),
                         lambda: libc.aligned_alloc(64, 100 * MiB)):
            block = allocate()
            result.append(held())
            libc.free(block)
            result.append(held())
    """) == [100, 0] * 3


def test_a_block_that_grows_is_held_with_its_new_size(run_preloaded):
    assert run_preloaded("""
        block = libc.malloc(100)
        ctypes.memmove(block, b"kept", 4)
        sizes = []
        for size in (50 * MiB, 200 * MiB, 20 * MiB, 1000):
            block = libc.realloc(block, size)
            sizes.append(held())
        kept = ctypes.string_at(block, 4).decode()
        libc.free(block)
        result = [sizes, kept, held()]
    """) == [[50, 200, 20, 0], "kept", 0]


def test_mapped_weights_are_held_until_they_are_unmapped(run_preloaded):
    assert run_preloaded("""
        with open(WEIGHTS, "rb") as file:
            weights = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        result = [held()]
        weights.close()
        result.append(held())
    """) == [300, 0]


def test_what_does_not_fit_is_refused_as_out_of_memory(run_preloaded):
    assert run_preloaded("""
        result = [libc.malloc(1025 * MiB), ctypes.get_errno() == errno.ENOMEM, held()]
        os.truncate(WEIGHTS, 1025 * MiB)
        try:
            with open(WEIGHTS, "rb") as file:
                mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except OSError as refused:
            result.append(refused.errno == errno.ENOMEM)
        result.append(libc.malloc(1000 * MiB) is not None)
    """) == [None, True, 0, True, True]
    assert run_preloaded.harness.refused_allocations() == 2


def test_each_process_holds_its_own(run_preloaded):
    assert run_preloaded("""
        block = libc.malloc(100 * MiB)
        ready, done = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            libc.free(block)          # the parent's: its bytes stay held
            libc.malloc(300 * MiB)
            os.write(ready[1], b"x")
            os.read(done[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
        result = [held(), held(pid=child)]
        os.write(done[1], b"x")
        os.waitpid(child, 0)
        result += [held(), held(pid=child)]
    """) == [100, 300, 100, 0]


@pytest.mark.parametrize("visible, expected", [("1", [0, 100]), ("GPU-51304c70-0000-4000-8000-000000000001", [0, 100]),
                                               ("1,0", [0, 100]), ("", [0, 0]), ("-1", [0, 0])])
def test_the_device_is_the_first_visible_one(run_preloaded, visible, expected):
    assert run_preloaded("libc.malloc(100 * MiB); result = [held(0), held(1)]", CUDA_VISIBLE_DEVICES=visible) == expected


def test_without_a_simulated_gpu_nothing_changes(run_preloaded, tmp_path):
    lines = "block = libc.malloc(1500 * MiB); libc.free(block); result = block is not None"
    assert run_preloaded(lines, MGPU_SIMGPU="") and run_preloaded(lines, MGPU_SIMGPU=str(tmp_path / "none"))

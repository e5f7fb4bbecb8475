"""A binding is enforced: whoever the daemon starts sees its device alone, and who computes elsewhere is named."""
import pathlib

from daemon_harness import GiB, free_port, parse_size, wait_until

# Allocates on the first device that CUDA would show to it.
CUDA_PROGRAM = """
import ctypes, os, socket, sys, time
shown = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
device = int(shown) if shown.isdigit() else int(shown[-12:])
library = ctypes.CDLL(os.environ["MGPU_NVML_LIBRARY"])
library.mgpu_simgpu_alloc.argtypes = [ctypes.c_uint, ctypes.c_uint64]
if library.mgpu_simgpu_alloc(device, int(sys.argv[2])): sys.exit("CUDA error: out of memory")
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"{}")
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0))); self.do_GET()
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
DEVICES = [{"id": "gpu0", "index": 0}, {"id": "gpu1", "index": 1}]


def cuda_consumer(harness, size, env=None, **config):
    file = harness.folder / "program.py"
    file.write_text(CUDA_PROGRAM)
    return {"footprint": size, "load_limit": "10s", **config,
            "runner": {"process": {"command": ["python3", str(file), "${PORT}", str(parse_size(size))], "env": env or {}}}}


def environment(harness, name):
    entries = pathlib.Path(f"/proc/{harness.consumer(name)['pid']}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


def post(harness, name):
    return harness.post("/v1/chat/completions", {"model": name, "messages": []})


def test_two_that_are_bound_to_different_devices_do_not_meet(harness):
    harness.start_with({"a": cuda_consumer(harness, "10GiB", device="gpu0"), "b": cuda_consumer(harness, "10GiB", device="gpu1")},
                       gpu=["12GiB", "24GiB"], devices=DEVICES)
    assert [post(harness, name).status_code for name in ("a", "b")] == [200, 200]
    assert [device["used"] for device in harness.gpu_states()] == [10 * GiB, 10 * GiB]
    assert environment(harness, "b")["CUDA_VISIBLE_DEVICES"] == harness.gpu_states()[1]["uuid"]
    assert harness.consumer("b")["notes"] == []


def test_a_split_consumer_sees_all_its_devices(harness):
    harness.start_with({"a": cuda_consumer(harness, "10GiB", devices=["gpu1", "gpu0"], split=[1, 1])},
                       gpu=["12GiB", "12GiB"], devices=DEVICES)
    post(harness, "a")
    first, second = (device["uuid"] for device in harness.gpu_states())
    assert environment(harness, "a")["CUDA_VISIBLE_DEVICES"] == f"{second},{first}"


def test_one_device_needs_no_variable(harness):
    harness.start_with({"a": cuda_consumer(harness, "10GiB")})
    assert post(harness, "a").status_code == 200
    assert "CUDA_VISIBLE_DEVICES" not in environment(harness, "a")


def test_its_own_env_wins_and_the_contradiction_is_named(harness):
    harness.start_with({"a": cuda_consumer(harness, "10GiB", device="gpu1", env={"CUDA_VISIBLE_DEVICES": "0"})},
                       gpu=["12GiB", "12GiB"], devices=DEVICES)
    post(harness, "a")
    assert environment(harness, "a")["CUDA_VISIBLE_DEVICES"] == "0"
    notes = wait_until(lambda: len(n := harness.consumer("a")["notes"]) == 2 and n, "both notes")
    assert "its env sets CUDA_VISIBLE_DEVICES=0" in notes[0]
    assert "it holds memory of gpu0, but is bound to gpu1" in notes[1]
    assert all(harness.daemon.output.count(note) == 1 for note in notes), "each is logged once"


def test_an_external_service_on_another_device_is_named_once(harness):
    port = free_port()
    harness.make_gpu("12GiB", "12GiB")
    harness.start_program("--name", "chat", "--port", port, "--bytes", parse_size("4GiB"), "--device", "1",
                          program="mgpu-fake-service")
    harness.write_config({"chat": {"footprint": "4GiB", "device": "gpu0", "url": f"http://127.0.0.1:{port}"}}, devices=DEVICES)
    harness.start_daemon()
    notes = wait_until(lambda: harness.consumer("chat")["notes"], "the note", seconds=20)
    assert len(notes) == 1 and "it holds memory of gpu1, but is bound to gpu0" in notes[0]
    assert harness.daemon.output.count(notes[0]) == 1

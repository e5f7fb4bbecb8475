"""Whose port it is: the answer of a stranger at a consumer's address is not the consumer's."""
import os
import socket
import sys

import pytest

from daemon_harness import free_port, parse_size, wait_until

STRANGER = """
import http.server, socket, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"{}")
    do_POST = do_GET
    def log_message(self, *words): pass
class Server(http.server.HTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = Server((sys.argv[1], int(sys.argv[2])), Answer)
print("up", flush=True)
server.serve_forever()
"""


def start_stranger(harness, address, port):
    file = harness.folder / "stranger.py"
    file.write_text(STRANGER)
    stranger = harness.start_program(file, address, port, program=type(file)(sys.executable))
    stranger.wait_for_output("up")
    return stranger


def on_port(harness, port, host="127.0.0.1"):
    chat = harness.fake_consumer("chat", "4GiB", url=f"http://{host}:{port}")
    command = chat["runner"]["process"]["command"]
    command[command.index("${PORT}")] = str(port)
    return chat


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


@pytest.mark.parametrize("address, host", [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"),
                                           ("::1", "localhost"), ("127.0.0.1", "localhost")])
def test_a_port_that_a_stranger_has_is_named_and_tried_again(harness, address, host):
    if ":" in address and not has_ipv6():
        pytest.skip("no IPv6")
    port = free_port()
    stranger = start_stranger(harness, address, port)
    harness.start_with({"chat": on_port(harness, port, host)})

    answer = harness.post("/v1/chat/completions", {"model": "chat"})

    assert answer.status_code == 503 and answer.json()["error"]["code"] == "load_failed"
    assert f"port {port} belongs to pid {stranger.pid} (python" in answer.json()["error"]["message"]
    assert harness.state("chat") != "warm" and not harness.service_journal()
    stranger.kill()
    wait_until(lambda: harness.post("/v1/chat/completions", {"model": "chat"}).status_code == 200, "the port to be free")


def test_ready_means_that_its_own_processes_listen(harness):
    port = free_port()
    file = harness.folder / "stranger.py"
    file.write_text(STRANGER)
    # The stranger comes after the check before the start: the consumer's command itself has it started elsewhere.
    helper = harness.folder / "start"
    os.mkfifo(helper)
    stranger = harness.start_program("-c", f"read go < {helper}; exec {sys.executable} {file} 127.0.0.1 {port}",
                                     program=type(file)("/bin/sh"))
    harness.start_with({"chat": {"footprint": "4GiB", "url": f"http://127.0.0.1:{port}", "load_limit": "10s",
                                 "runner": {"process": {"command": ["sh", "-c", f"echo go > {helper}; exec sleep 300"]}}}})
    answer = harness.post("/v1/chat/completions", {"model": "chat"})
    assert answer.status_code == 503
    assert f"port {port} belongs to pid {stranger.pid} (python" in answer.json()["error"]["message"]


def test_who_listens_for_an_external_service_is_told(harness):
    port = free_port()
    harness.make_gpu("12GiB")
    service = harness.start_program("--name", "chat", "--port", port, "--bytes", parse_size("4GiB"), program="mgpu-fake-service")
    harness.write_config({"chat": {"footprint": "4GiB", "url": f"http://127.0.0.1:{port}"},
                          "voice": harness.fake_consumer("voice")})
    harness.start_daemon()
    listener = wait_until(lambda: harness.consumer("chat")["listener"], "the listener to be found")
    assert listener == {"pid": service.pid, "name": "mgpu-fake-servi"}
    assert harness.consumer("voice")["listener"] is None

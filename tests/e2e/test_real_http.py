"""Real HTTP programs: curl and Java's client, which offer an upgrade to HTTP/2, and Python's server, which answers before
it has read the body."""
import shutil
import socket
import subprocess
import sys

import pytest

from daemon_harness import TREE, free_port

CHAT = '{"model":"chat","messages":[]}'


def curl(*words):
    return subprocess.run(["curl", "-sS", "--max-time", "20", *words], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("options", [["--http2"], ["--http1.0"], ["-H", "Transfer-Encoding: chunked"],
                                     ["-H", "Expect: 100-continue"]])
def test_curl(harness, options):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    done = curl(*options, "-H", "Content-Type: application/json", "-d", CHAT, f"{harness.url}/v1/chat/completions")
    assert "answer of chat" in done.stdout and not done.stderr
    assert harness.tickets() == []


def test_curl_speaks_tls_or_http_2_to_us(harness):
    """Neither is supported: the connection is closed at once, and the next one is served."""
    harness.start_with({"chat": harness.fake_consumer("chat")})
    for options in (["-k", harness.url.replace("http:", "https:") + "/v1/status"],
                    ["--http2-prior-knowledge", f"{harness.url}/v1/status"]):
        assert curl(*options).returncode != 0
    assert curl(f"{harness.url}/healthz").returncode == 0


def test_javas_own_client(harness):
    if not shutil.which("java"):
        pytest.skip("java is not installed")
    harness.start_with({"chat": harness.fake_consumer("chat")})
    done = subprocess.run(["java", TREE / "tests/e2e/RealHttpClient.java", harness.url], capture_output=True, text=True,
                          timeout=90)
    assert done.stdout.splitlines() == ["200 true"] * 3, done
    harness.wait_until_quiet()


def test_pythons_own_server_answers_early(harness):
    """It answers a POST with 501 and does not read the body, which the client sends in two pieces."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", harness.folder],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            harness.start_with({"files": {"footprint": "1GiB", "service": "generic", "url": f"http://127.0.0.1:{port}",
                                          "health": "/"}})
            daemon_url = harness.http_client.base_url
            with socket.create_connection((daemon_url.host, daemon_url.port), timeout=20) as client:
                for _ in range(5):
                    client.sendall(b"POST /c/files/x HTTP/1.1\r\nHost: mgpu\r\nContent-Length: 6\r\n\r\nabc")
                    client.sendall(b"def")
                    assert client.recv(65536).startswith(b"HTTP/1.1 501")
                    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: mgpu\r\n\r\n")
                    assert client.recv(65536).startswith(b"HTTP/1.1 200")
            large = curl("-i", "-d", f"@{harness.folder / 'gpu'}", f"{harness.url}/c/files/x")
            assert "501" in large.stdout, large
            harness.wait_until_quiet()
        finally:
            server.kill()

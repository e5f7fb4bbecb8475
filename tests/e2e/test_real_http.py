"""HTTP programs that nobody here wrote, as people use them: clients that ask for HTTP/2 in passing, and a server that
answers before it was told all."""
import shutil
import socket
import subprocess
import sys

import pytest

from house import TREE, free_port

CHAT = '{"model":"chat","messages":[]}'


def curl(*words):
    return subprocess.run(["curl", "-sS", "--max-time", "20", *words], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("way", [["--http2"], ["--http1.0"], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]])
def test_curl(house, way):
    house.open({"chat": house.fake("chat")})
    done = curl(*way, "-H", "Content-Type: application/json", "-d", CHAT, f"{house.url}/v1/chat/completions")
    assert "answer of chat" in done.stdout and not done.stderr
    assert house.line() == []


def test_curl_speaks_tls_or_http_2_to_us(house):
    """Neither is spoken here: the connection ends at once, and the next one is served."""
    house.open({"chat": house.fake("chat")})
    for way in (["-k", house.url.replace("http:", "https:") + "/v1/status"], ["--http2-prior-knowledge", f"{house.url}/v1/status"]):
        assert curl(*way).returncode != 0
    assert curl(f"{house.url}/healthz").returncode == 0


def test_javas_own_client(house):
    if not shutil.which("java"):
        pytest.skip("there is no java")
    house.open({"chat": house.fake("chat")})
    done = subprocess.run(["java", TREE / "tests/e2e/RealHttpClient.java", house.url], capture_output=True, text=True, timeout=90)
    assert done.stdout.splitlines() == ["200 true"] * 3, done
    house.wait_until_quiet()


def test_pythons_own_server_answers_early(house):
    """It answers 501 to a POST and reads no body; the client sends it in two pieces."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", house.folder],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            house.open({"files": {"footprint": "1GiB", "service": "generic", "url": f"http://127.0.0.1:{port}", "health": "/"}})
            with socket.create_connection((house.http.base_url.host, house.http.base_url.port), timeout=20) as client:
                for _ in range(5):
                    client.sendall(b"POST /c/files/x HTTP/1.1\r\nHost: mgpu\r\nContent-Length: 6\r\n\r\nabc")
                    client.sendall(b"def")
                    assert client.recv(65536).startswith(b"HTTP/1.1 501")
                    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: mgpu\r\n\r\n")
                    assert client.recv(65536).startswith(b"HTTP/1.1 200")
            large = curl("-i", "-d", f"@{house.folder / 'gpu'}", f"{house.url}/c/files/x")
            assert "501" in large.stdout, large
            house.wait_until_quiet()
        finally:
            server.kill()

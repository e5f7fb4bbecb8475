"""The container runner against a real engine, Docker or Podman; MGPU_TEST_ENGINE names its socket. The image is made from a
static busybox, nothing is pulled. The container holds no device memory."""
import http.client
import io
import json
import os
import socket
import tarfile

import pytest

from daemon_harness import wait_until

SOCKET = os.environ.get("MGPU_TEST_ENGINE", "")
BUSYBOX = "/bin/busybox"

pytestmark = pytest.mark.skipif(not os.path.exists(SOCKET) or not os.path.exists(BUSYBOX),
                                reason="needs MGPU_TEST_ENGINE, the socket of a container engine, and /bin/busybox")


class UnixHttpConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(SOCKET)


def call_engine(method, path, body=None, headers=None):
    connection = UnixHttpConnection("localhost", timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.fixture(scope="module")
def image():
    with io.BytesIO() as tar:
        with tarfile.open(fileobj=tar, mode="w") as files:
            files.add(os.path.realpath(BUSYBOX), "bin/busybox")
        status, text = call_engine("POST", "/images/create?fromSrc=-", tar.getvalue(), {"Content-Type": "application/x-tar"})
    assert status == 200, text
    return json.loads(text.splitlines()[-1])["status"].removeprefix("sha256:")


@pytest.fixture
def container_name(harness):
    """The name of the consumer, whose container is removed after the test."""
    container_name = f"mgpu-test-{os.getpid()}"

    class ContainerRemoval:
        def kill(self):
            call_engine("DELETE", f"/containers/mgpu-{container_name}?force=1")

    harness.processes_started.append(ContainerRemoval())
    return container_name


def consumer(image, script, **config):
    command = ["/bin/busybox", "sh", "-c", script]
    return {"footprint": "8GiB", "load_limit": "20s", "stop_limit": "5s", "health": "/", "health_status": 200,
            "service": "generic", "url": "http://127.0.0.1:${PORT}",
            "runner": {"container": {"image": image, "command": command, "network": "host", "socket": SOCKET}}, **config}


# The shell is process 1 of the container, for which SIGTERM has no default action: it ends only by its trap.
SERVER = "echo serving; mkdir /www; echo hi > /www/index.html; /bin/busybox httpd -f -p ${PORT} -h /www & %s wait"
STOPS_ON_TERM = SERVER % "trap 'kill $!; exit 0' TERM;"
IGNORES_TERM = SERVER % "trap '' TERM;"


def load_until_warm(harness, container_name):
    assert harness.post(f"/v1/consumers/{container_name}/load").json()["state"] == "warm"


def test_it_is_made_stopped_and_made_again(harness, image, container_name):
    harness.start_with({container_name: consumer(image, STOPS_ON_TERM), "voice": harness.fake_consumer("voice", "8GiB")})
    load_until_warm(harness, container_name)
    harness.chat("voice")
    load_until_warm(harness, container_name)
    assert [data["rung"] for _, data in harness.events("evicted")] == ["stop", "stop"]
    wait_until(lambda: "serving" in harness.consumer(container_name)["log"], "its output")


def test_one_that_ignores_stop_is_killed(harness, image, container_name):
    harness.start_with({container_name: consumer(image, IGNORES_TERM, stop_limit="500ms"),
                        "voice": harness.fake_consumer("voice", "8GiB")})
    load_until_warm(harness, container_name)
    harness.chat("voice")
    assert [data["rung"] for _, data in harness.events("evict")] == ["stop", "kill"]


def test_its_death_is_noticed_at_once(harness, image, container_name):
    harness.start_with({container_name: consumer(image, STOPS_ON_TERM)})
    load_until_warm(harness, container_name)
    assert call_engine("POST", f"/containers/mgpu-{container_name}/kill?signal=SIGKILL")[0] == 204
    harness.wait_for_state(container_name, "cold")
    assert "exited with code 137" in harness.events("service_lost")[0][1]["error"]["message"]


def test_the_next_daemon_finds_it(harness, image, container_name):
    harness.start_with({container_name: consumer(image, STOPS_ON_TERM)})
    load_until_warm(harness, container_name)
    pid = harness.consumer(container_name)["pid"]
    harness.daemon.kill()
    harness.start_daemon()
    harness.wait_for_state(container_name, "warm")
    assert harness.consumer(container_name)["pid"] == pid


def test_one_that_cannot_start_says_why(harness, container_name):
    harness.start_with({container_name: consumer("localhost/no-such-image:1", STOPS_ON_TERM)})
    error = harness.post(f"/v1/consumers/{container_name}/load").json()["error"]
    assert error["code"] == "load_failed" and "no such image" in error["message"].lower()

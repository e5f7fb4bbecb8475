"""The same with a real engine, Docker or Podman: MGPU_TEST_ENGINE names its socket. Its image is made here of a
static busybox; nothing is pulled. The container holds no device memory."""
import http.client
import io
import json
import os
import socket
import tarfile

import pytest

from house import wait_until

SOCKET = os.environ.get("MGPU_TEST_ENGINE", "")
BUSYBOX = "/bin/busybox"

pytestmark = pytest.mark.skipif(not os.path.exists(SOCKET) or not os.path.exists(BUSYBOX),
                                reason="MGPU_TEST_ENGINE names no socket of a container engine")


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(SOCKET)


def ask(method, path, body=None, headers=None):
    connection = Connection("localhost", timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.fixture(scope="module")
def image():
    with io.BytesIO() as tar:
        with tarfile.open(fileobj=tar, mode="w") as files:
            files.add(os.path.realpath(BUSYBOX), "bin/busybox")
        status, text = ask("POST", "/images/create?fromSrc=-", tar.getvalue(), {"Content-Type": "application/x-tar"})
    assert status == 200, text
    return json.loads(text.splitlines()[-1])["status"].removeprefix("sha256:")


@pytest.fixture
def name(house):
    """The consumer's; its container is gone after the story."""
    name = f"mgpu-story-{os.getpid()}"

    class Ends:
        def kill(self):
            ask("DELETE", f"/containers/mgpu-{name}?force=1")

    house.programs.append(Ends())
    return name


def consumer(image, script, **config):
    command = ["/bin/busybox", "sh", "-c", script]
    return {"footprint": "8GiB", "load_limit": "20s", "stop_limit": "5s", "health": "/", "health_status": 200,
            "service": "generic", "url": "http://127.0.0.1:${PORT}",
            "runner": {"container": {"image": image, "command": command, "network": "host", "socket": SOCKET}}, **config}


# A shell with a trap ends by itself when asked to; without one it is process 1, to which SIGTERM means nothing.
SERVER = "echo serving; mkdir /www; echo hi > /www/index.html; /bin/busybox httpd -f -p ${PORT} -h /www & %s wait"
OBEDIENT = SERVER % "trap 'kill $!; exit 0' TERM;"
DEAF = SERVER % "trap '' TERM;"


def works(house, name):
    assert house.post(f"/v1/consumers/{name}/load").json()["state"] == "warm"


def test_it_is_made_stopped_and_made_again(house, image, name):
    house.open({name: consumer(image, OBEDIENT), "voice": house.fake("voice", "8GiB")})
    works(house, name)
    house.ask("voice")
    works(house, name)
    assert [data["rung"] for _, data in house.events("evicted")] == ["stop", "stop"]
    wait_until(lambda: "serving" in house.consumer(name)["log"], "its output")


def test_one_that_ignores_stop_is_killed(house, image, name):
    house.open({name: consumer(image, DEAF, stop_limit="500ms"), "voice": house.fake("voice", "8GiB")})
    works(house, name)
    house.ask("voice")
    assert [data["rung"] for _, data in house.events("evict")] == ["stop", "kill"]


def test_its_death_is_noticed_at_once(house, image, name):
    house.open({name: consumer(image, OBEDIENT)})
    works(house, name)
    assert ask("POST", f"/containers/mgpu-{name}/kill?signal=SIGKILL")[0] == 204
    house.wait_for_state(name, "cold")
    assert "exited with code 137" in house.events("service_lost")[0][1]["error"]["message"]


def test_the_next_daemon_finds_it(house, image, name):
    house.open({name: consumer(image, OBEDIENT)})
    works(house, name)
    pid = house.consumer(name)["pid"]
    house.daemon.kill()
    house.start_daemon()
    house.wait_for_state(name, "warm")
    assert house.consumer(name)["pid"] == pid


def test_one_that_cannot_start_says_why(house, name):
    house.open({name: consumer("localhost/no-such-image:1", OBEDIENT)})
    told = house.post(f"/v1/consumers/{name}/load").json()["error"]
    assert told["code"] == "load_failed" and "no such image" in told["message"].lower()

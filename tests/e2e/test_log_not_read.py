"""Whoever reads the daemon's output, or a service's log, may stop reading, go away, or never come: nobody else notices."""
import os
import resource
import select
import signal
import subprocess
import time

import pytest

from house import BIN, wait_until


@pytest.fixture
def bare(house):
    """A house whose daemon has streams of the story's own: nothing of ours reads them."""
    house.make_gpu("12GiB")
    children = []

    def start(consumers, **more):
        house.write_config(consumers)
        child = subprocess.Popen([BIN / "mgpu", "serve", "--config", house.config_file], env=house.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, **more)
        children.append(child)
        house.connect(child.stdout.readline().decode().split("listening on ")[1].split(",")[0])
        return child

    house.start_bare = start
    yield house
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == 0


def fill(house, lines=3000):
    """Makes the daemon log: each refused ticket is a line of the log."""
    for _ in range(lines):
        assert house.post("/v1/leases", {"bytes": "999GiB", "who": "x" * 200}).status_code == 507


def test_stderr_is_never_read(bare):
    child = bare.start_bare({}, stderr=subprocess.PIPE)
    fill(bare, 6000)
    assert bare.get("/healthz")["status"] == "ok"
    dropped = bare.status()["log_lines_dropped"]
    # Who reads again finds out how much is missing.
    text = b""
    os.set_blocking(child.stderr.fileno(), False)

    def told():
        nonlocal text
        fill(bare, 1)
        while select.select([child.stderr], [], [], 0)[0]:
            text += os.read(child.stderr.fileno(), 1 << 20)
        return not dropped or b"not read in time, and dropped" in text

    wait_until(told, "the note of what was dropped")
    assert b"refused: never_fits" in text


def test_the_end_does_not_wait_for_the_log_either(bare):
    child = bare.start_bare({}, stderr=subprocess.PIPE)
    fill(bare)
    begin = time.monotonic()
    child.send_signal(signal.SIGTERM)
    assert child.wait(15) == 0
    assert time.monotonic() - begin < 5


def test_stderr_and_stdout_are_closed_by_their_reader(bare):
    child = bare.start_bare({"chat": bare.fake("chat")}, stderr=subprocess.PIPE)
    child.stderr.close()
    child.stdout.close()
    fill(bare, 50)
    assert bare.ask("chat")
    assert child.poll() is None


def test_there_is_no_stderr_at_all(bare):
    """Number 2 must not become a socket that the log is then written to."""
    child = bare.start_bare({}, preexec_fn=lambda: os.close(2))
    fill(bare, 20)
    assert bare.get("/healthz")["status"] == "ok"
    assert os.readlink(f"/proc/{child.pid}/fd/2") == "/dev/null"


def test_stdout_is_full(house):
    """The ready line finds no room in its pipe."""
    house.make_gpu("12GiB")
    house.write_config({})
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    child = subprocess.Popen([BIN / "mgpu", "serve", "--config", house.config_file], env=house.env, stdout=writing,
                             stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        port = wait_until(lambda: listening_port(child.pid), "the door to open")
        house.connect(f"http://127.0.0.1:{port}")
        assert house.get("/healthz")["status"] == "ok"
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(15) == 0
        os.close(reading), os.close(writing)


def listening_port(pid):
    """The port that the process listens on, from /proc."""
    inodes = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{pid}/fd/{entry}"))
        except OSError:
            pass
    for line in open("/proc/net/tcp").readlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
            return int(fields[1].split(":")[1], 16)
    return None


def test_a_log_file_is_a_fifo_that_nobody_reads(house):
    fifo = house.folder / "log"
    os.mkfifo(fifo)
    chat = house.fake("chat")
    chat["runner"]["process"]["log_file"] = str(fifo)
    chat["runner"]["process"]["command"] = ["sh", "-c", 'i=0; while [ $i -lt 30000 ]; do echo "a line of output, number $i"; '
                                            'i=$((i+1)); done; exec "$@"', "sh", *chat["runner"]["process"]["command"]]
    house.open({"chat": chat, "other": house.fake("other", "2GiB")})
    assert house.ask("chat")
    assert house.ask("other")
    with open(fifo, "rb", buffering=0) as reader:
        os.set_blocking(reader.fileno(), False)
        text = b""

        def read():
            nonlocal text
            try:
                text += reader.read(1 << 20) or b""
            except BlockingIOError:
                pass
            return b"a line of output, number 10\n" in text

        wait_until(read, "what was written before anybody read")
    assert house.ask("chat")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_that_is_no_order_to_end(house, number):
    house.open({"chat": house.fake("chat")})
    house.daemon.signal(number)
    assert house.ask("chat")
    if number == signal.SIGHUP:
        house.daemon.wait_for("SIGHUP: the configuration is read at start only; restart to reload")
        house.daemon.signal(number)
        wait_until(lambda: house.daemon.text.count("SIGHUP:") == 2, "the second one to be heard")


def test_a_service_has_the_signals_and_the_limit_that_the_daemon_was_started_with(house):
    """SIGPIPE ends it again, and its soft limit of descriptors is not the daemon's raised one."""
    chat = house.fake("chat")
    command = chat["runner"]["process"]["command"]
    chat["runner"]["process"]["command"] = ["sh", "-c", 'grep SigIgn /proc/self/status; ulimit -Sn; exec "$@"', "sh", *command]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(512, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        house.open({"chat": chat})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limits = open(f"/proc/{house.daemon.pid}/limits").read()
    assert [line.split()[3] == line.split()[4] for line in limits.splitlines() if line.startswith("Max open files")] == [True]
    house.ask("chat")
    log = house.consumer("chat")["log"]
    assert any(line.split() == ["SigIgn:", "0000000000000000"] for line in log), log
    assert str(wanted) in log

"""A reader of the daemon's output or of a service's log that stalls, goes away or never comes delays nothing else."""
import os
import resource
import select
import signal
import subprocess
import time

import pytest

from daemon_harness import BIN, wait_until


@pytest.fixture
def unread_output_harness(harness):
    """The harness with start_daemon_unread(), which starts a daemon whose output only the test reads, if at all."""
    harness.make_gpu("12GiB")
    children = []

    def start(consumers, **more):
        harness.write_config(consumers)
        child = subprocess.Popen([BIN / "mgpu", "serve", "--config", harness.config_file], env=harness.env,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **more)
        children.append(child)
        harness.connect(child.stdout.readline().decode().split("listening on ")[1].split(",")[0])
        return child

    harness.start_daemon_unread = start
    yield harness
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == 0


def fill_log(harness, lines=3000):
    """Makes the daemon write log lines: one for each refused ticket."""
    for _ in range(lines):
        assert harness.post("/v1/leases", {"bytes": "999GiB", "who": "x" * 200}).status_code == 507


def test_stderr_is_never_read(unread_output_harness):
    child = unread_output_harness.start_daemon_unread({}, stderr=subprocess.PIPE)
    fill_log(unread_output_harness, 6000)
    assert unread_output_harness.get("/healthz")["status"] == "ok"
    dropped = unread_output_harness.status()["log_lines_dropped"]
    # A reader that resumes learns how many lines were dropped.
    text = b""
    os.set_blocking(child.stderr.fileno(), False)

    def is_drop_logged():
        nonlocal text
        fill_log(unread_output_harness, 1)
        while select.select([child.stderr], [], [], 0)[0]:
            text += os.read(child.stderr.fileno(), 1 << 20)
        return not dropped or b"stderr was not read in time" in text

    wait_until(is_drop_logged, "the log line about dropped lines")
    assert b"refused: never_fits" in text


def test_the_end_does_not_wait_for_the_log_either(unread_output_harness):
    child = unread_output_harness.start_daemon_unread({}, stderr=subprocess.PIPE)
    fill_log(unread_output_harness)
    begin = time.monotonic()
    child.send_signal(signal.SIGTERM)
    assert child.wait(15) == 0
    assert time.monotonic() - begin < 5


def test_stderr_and_stdout_are_closed_by_their_reader(unread_output_harness):
    child = unread_output_harness.start_daemon_unread({"chat": unread_output_harness.fake_consumer("chat")},
                                                      stderr=subprocess.PIPE)
    child.stderr.close()
    child.stdout.close()
    fill_log(unread_output_harness, 50)
    assert unread_output_harness.chat("chat")
    assert child.poll() is None


def test_there_is_no_stderr_at_all(unread_output_harness):
    """Descriptor 2 must not be reused for a socket, which the log would then be written to."""
    child = unread_output_harness.start_daemon_unread({}, preexec_fn=lambda: os.close(2))
    fill_log(unread_output_harness, 20)
    assert unread_output_harness.get("/healthz")["status"] == "ok"
    assert os.readlink(f"/proc/{child.pid}/fd/2") == "/dev/null"


def test_stdout_is_full(harness):
    """The line "listening on" is written to a full pipe."""
    harness.make_gpu("12GiB")
    harness.write_config({})
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    child = subprocess.Popen([BIN / "mgpu", "serve", "--config", harness.config_file], env=harness.env, stdout=writing,
                             stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        port = wait_until(lambda: listening_port(child.pid), "the daemon to listen")
        harness.connect(f"http://127.0.0.1:{port}")
        assert harness.get("/healthz")["status"] == "ok"
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(15) == 0
        os.close(reading), os.close(writing)


def listening_port(pid):
    """The port that the process listens on, from /proc; None if it does not listen."""
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


def test_a_log_file_is_a_fifo_that_nobody_reads(harness):
    fifo = harness.folder / "log"
    os.mkfifo(fifo)
    chat = harness.fake_consumer("chat")
    chat["runner"]["process"]["log_file"] = str(fifo)
    chat["runner"]["process"]["command"] = ["sh", "-c", 'i=0; while [ $i -lt 30000 ]; do echo "a line of output, number $i"; '
                                            'i=$((i+1)); done; exec "$@"', "sh", *chat["runner"]["process"]["command"]]
    harness.start_with({"chat": chat, "other": harness.fake_consumer("other", "2GiB")})
    assert harness.chat("chat")
    assert harness.chat("other")
    with open(fifo, "rb", buffering=0) as reader:
        os.set_blocking(reader.fileno(), False)
        text = b""

        def read_early_output():
            nonlocal text
            try:
                text += reader.read(1 << 20) or b""
            except BlockingIOError:
                pass
            return b"a line of output, number 10\n" in text

        wait_until(read_early_output, "the output from before the reader opened the fifo")
    assert harness.chat("chat")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_that_is_no_order_to_end(harness, number):
    harness.start_with({"chat": harness.fake_consumer("chat")})
    harness.daemon.signal(number)
    assert harness.chat("chat")
    if number == signal.SIGHUP:
        harness.daemon.wait_for_output("SIGHUP: the configuration is read at start only; restart to reload")
        harness.daemon.signal(number)
        wait_until(lambda: harness.daemon.output.count("SIGHUP:") == 2, "the second SIGHUP to be logged")


def test_a_service_has_the_signals_and_the_limit_that_the_daemon_was_started_with(harness):
    """A service has the default SIGPIPE action, and the soft limit of descriptors from before the daemon raised its own."""
    chat = harness.fake_consumer("chat")
    command = chat["runner"]["process"]["command"]
    chat["runner"]["process"]["command"] = ["sh", "-c", 'grep SigIgn /proc/self/status; ulimit -Sn; exec "$@"', "sh", *command]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(512, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        harness.start_with({"chat": chat})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limits = open(f"/proc/{harness.daemon.pid}/limits").read()
    assert [line.split()[3] == line.split()[4] for line in limits.splitlines() if line.startswith("Max open files")] == [True]
    harness.chat("chat")
    log = harness.consumer("chat")["log"]
    assert any(line.split() == ["SigIgn:", "0000000000000000"] for line in log), log
    assert str(wanted) in log

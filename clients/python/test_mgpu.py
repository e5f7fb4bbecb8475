"""The Python client against a fake daemon with fixed answers. Run: python3 -m unittest test_mgpu"""
import json
import os
import socket
import threading
import unittest
import unittest.mock

import mgpu

GRANTED = {"event": "granted", "ticket": 7, "device": "gpu0"}


class FakeDaemon:
    """Accepts one connection, answers with the lines, keeps the `request`, and sets `closed` once the client disconnects."""

    def __init__(self, lines, status="200 OK", keep_open=True):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.request, self.closed = None, threading.Event()
        self.lines, self.status, self.keep_open = lines, status, keep_open
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        client = self.listener.accept()[0]
        text = b""
        while b"\r\n\r\n" not in text or not text.endswith(b"}"):
            text += client.recv(4096)
        self.request = json.loads(text.split(b"\r\n\r\n", 1)[1])
        client.sendall(b"HTTP/1.1 %s\r\nTransfer-Encoding: chunked\r\n\r\n" % self.status.encode())
        out = b""
        for line in self.lines:
            data = json.dumps(line).encode() + b"\n"
            out += b"%x\r\n%s\r\n" % (len(data), data)
        client.sendall(out + (b"" if self.status == "200 OK" else b"0\r\n\r\n"))
        while self.keep_open and client.recv(4096):
            pass
        client.close()
        self.listener.close()
        self.closed.set()


class Lease(unittest.TestCase):
    def test_holds_the_turn_while_the_block_runs(self):
        daemon = FakeDaemon([GRANTED])
        with mgpu.lease("train", wait_limit="5s", priority="batch", user="ada", url=daemon.url) as lease:
            self.assertEqual((lease.ticket, lease.device), (7, "gpu0"))
            self.assertIsNone(lease.ended())
            self.assertFalse(daemon.closed.is_set())
        self.assertTrue(daemon.closed.wait(5))
        self.assertEqual(daemon.request["consumer"], "train")
        self.assertEqual(daemon.request["bind"], "connection")
        self.assertEqual(daemon.request["pid"], os.getpid())
        self.assertEqual(daemon.request["wait_limit"], "5s")
        self.assertEqual((daemon.request["priority"], daemon.request["user"]), ("batch", "ada"))
        self.assertNotIn("bytes", daemon.request)
        self.assertNotIn("deadline", daemon.request)

    def test_the_first_process_of_a_container_names_no_pid(self):
        daemon = FakeDaemon([GRANTED])
        with unittest.mock.patch("os.getpid", return_value=1), mgpu.lease("train", url=daemon.url):
            pass
        self.assertNotIn("pid", daemon.request)

    def test_is_given_back_when_the_block_raises(self):
        daemon = FakeDaemon([GRANTED])
        with self.assertRaises(KeyError):
            with mgpu.lease(bytes="1GiB", url=daemon.url):
                raise KeyError("job")
        self.assertTrue(daemon.closed.wait(5))

    def test_tells_its_place_in_the_line(self):
        places = []
        daemon = FakeDaemon([{"event": "waiting", "ticket": 7, "place": n} for n in (2, 1, 0)] + [GRANTED])
        self.assertEqual(mgpu.run("tts", lambda: "spoken", on_waiting=places.append, url=daemon.url), "spoken")
        self.assertEqual(places, [2, 1, 0])

    def test_an_early_end_is_told(self):
        end = {"event": "ended", "error": {"code": "service_down", "message": "it died"}}
        with mgpu.lease("tts", url=FakeDaemon([GRANTED, end]).url) as lease:
            error = lease.ended()
            while error is None:
                error = lease.ended()
            self.assertEqual(error.code, "service_down")

    def test_a_daemon_that_stops_ends_it(self):
        daemon = FakeDaemon([GRANTED], keep_open=False)
        with mgpu.lease("tts", url=daemon.url) as lease:
            daemon.closed.wait(5)
            error = lease.ended()
            while error is None:
                error = lease.ended()
            self.assertEqual(error.code, "unavailable")


class Refusals(unittest.TestCase):
    def refused(self, daemon):
        with self.assertRaises(mgpu.Refused) as caught:
            mgpu.run("tts", lambda: self.fail("no turn, no job"), url=daemon.url)
        return caught.exception

    def test_in_the_stream(self):
        error = {"code": "wait_limit", "message": "waited 2 s"}
        self.assertEqual(self.refused(FakeDaemon([{"event": "ended", "error": error}])).code, "wait_limit")

    def test_at_once(self):
        error = {"error": {"code": "not_found", "message": "no consumer tts; known: chat"}}
        refusal = self.refused(FakeDaemon([error], status="404 Not Found", keep_open=False))
        self.assertEqual(str(refusal), "not_found: no consumer tts; known: chat")

    def test_a_daemon_that_goes_away(self):
        self.assertEqual(self.refused(FakeDaemon([], keep_open=False)).code, "unavailable")

    def test_nobody_there(self):
        with self.assertRaises(mgpu.Refused) as caught:
            mgpu.run("tts", lambda: None, url="http://127.0.0.1:1")
        self.assertEqual(caught.exception.code, "unavailable")


if __name__ == "__main__":
    unittest.main()

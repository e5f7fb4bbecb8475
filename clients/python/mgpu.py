"""Take a turn on the GPU from Python (3.8+, standard library only).

    import mgpu

    with mgpu.lease("train") as lease:      # waits in the line, then holds the turn
        train()                             # lease.ticket, lease.device; lease.ended() tells an early end

    speech = mgpu.run("tts", lambda: speak(text))

    with mgpu.lease(bytes="6GiB", wait_limit="10m", on_waiting=lambda place: print("place", place)):
        render()

    mgpu.lease("train", priority="batch", user="ada", deadline="10s")   # how urgent, for whom, too late after

The daemon is at $MGPU_URL, or http://127.0.0.1:8090. The turn lives as long as the connection: it is given back
when the block ends, when it raises, and when the process dies. No turn: mgpu.Refused, whose `code` is one of the
daemon's (queue_full, wait_limit, never_fits, not_found, ...) or "unavailable" if the daemon does not answer.
"""
import http.client
import json
import os
import select
import sys
import urllib.parse

__all__ = ["Refused", "lease", "run"]


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class lease:
    """The turn of a consumer (or of bare bytes), held while the `with` block runs."""

    def __init__(self, consumer=None, *, bytes=None, device=None, wait_limit=None, priority=None, user=None,
                 deadline=None, on_waiting=None, url=None):
        asked = {"consumer": consumer, "bytes": bytes, "device": device, "wait_limit": wait_limit,
                 "priority": priority, "user": user, "deadline": deadline}
        self._body = {name: value for name, value in asked.items() if value is not None}
        if os.getpid() != 1:  # the first process of a container is another one elsewhere
            self._body["pid"] = os.getpid()
        self._body.update(bind="connection", who=os.path.basename(sys.argv[0] or "python"))
        self._url = urllib.parse.urlsplit(url or os.environ.get("MGPU_URL") or "http://127.0.0.1:8090")
        self._on_waiting = on_waiting or (lambda place: None)

    def __enter__(self):
        self._connection = http.client.HTTPConnection(self._url.hostname, self._url.port or 80)
        try:
            return self._wait()
        except BaseException as error:  # also Ctrl-C: leaves the line
            self._connection.close()
            if isinstance(error, (OSError, http.client.HTTPException)):
                raise Refused("unavailable", f"no answer from mgpu at {self._url.geturl()}: {error}") from error
            raise

    def __exit__(self, *_):
        for end in (self._answer, self._socket, self._connection):
            end.close()

    def ended(self):
        """None, or the Refused that says why the daemon ended the turn early. Does not wait."""
        self._socket.settimeout(0)
        try:
            ahead = self._answer.fp.peek(1) if self._answer.fp else b""  # may have come along with the grant
        finally:
            self._socket.settimeout(None)
        if b"{" not in ahead and not select.select([self._socket], [], [], 0)[0]:
            return None
        try:
            line = self._answer.readline()
        except (OSError, http.client.HTTPException):
            line = b""
        if line and not line.strip():
            return None  # only keeps the connection alive
        return _refusal(json.loads(line or b"{}"), "unavailable")

    def _wait(self):
        self._connection.request("POST", "/v1/leases", json.dumps(self._body), {"Content-Type": "application/json"})
        self._socket = self._connection.sock
        self._answer = self._connection.getresponse()
        if self._answer.status != 200:
            raise _refusal(json.loads(self._answer.read() or b"{}"), "internal")
        for line in iter(self._answer.readline, b""):
            event = json.loads(line) if line.strip() else {}
            if event.get("event") == "granted":
                self.ticket, self.device = event.get("ticket"), event.get("device")
                return self
            if event.get("event") == "ended":
                raise _refusal(event, "internal")
            if event.get("event") == "waiting":
                self._on_waiting(event["place"])
        raise Refused("unavailable", "the daemon closed the connection")


def run(consumer, job, **options):
    """Waits for the consumer's turn, calls job() in it, and returns what it returned."""
    with lease(consumer, **options):
        return job()


def _refusal(answer, code):
    error = answer.get("error") or {}
    return Refused(error.get("code", code), error.get("message", "the daemon gave no reason"))

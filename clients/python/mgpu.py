"""Take a turn on the GPU from Python (3.8+, standard library only).

    import mgpu

    with mgpu.lease("train") as lease:      # waits in the line, then holds the turn
        train()                             # lease.ticket, lease.device; lease.ended() reports an early end

    speech = mgpu.run("tts", lambda: speak(text))

    with mgpu.lease(bytes="6GiB", wait_limit="10m", on_waiting=lambda place: print("place", place)):
        render()

    mgpu.lease("train", priority="batch", user="ada", deadline="10s")   # urgency, user, latest start

The daemon is at $MGPU_URL, or http://127.0.0.1:8090. The turn lasts as long as the connection: it is released when the
block ends, when it raises, and when the process dies. If there is no turn, mgpu.Refused is raised; its `code` is an error
code of the daemon (queue_full, wait_limit, never_fits, not_found, ...), or "unavailable" if the daemon does not answer.
"""
import http.client
import json
import os
import select
import sys
import urllib.parse

__all__ = ["Refused", "lease", "run"]


class Refused(Exception):
    """No turn, or its early end: the daemon's error code and message."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class lease:
    """The turn of a consumer (or a bare lease of `bytes`), held while the `with` block runs."""

    def __init__(self, consumer=None, *, bytes=None, device=None, wait_limit=None, priority=None, user=None,
                 deadline=None, on_waiting=None, url=None):
        fields = {"consumer": consumer, "bytes": bytes, "device": device, "wait_limit": wait_limit,
                  "priority": priority, "user": user, "deadline": deadline}
        self._body = {name: value for name, value in fields.items() if value is not None}
        if os.getpid() != 1:  # in a container, pid 1 is another process for the daemon
            self._body["pid"] = os.getpid()
        self._body.update(bind="connection", who=os.path.basename(sys.argv[0] or "python"))
        self._url = urllib.parse.urlsplit(url or os.environ.get("MGPU_URL") or "http://127.0.0.1:8090")
        self._on_waiting = on_waiting or (lambda place: None)

    def __enter__(self):
        self._connection = http.client.HTTPConnection(self._url.hostname, self._url.port or 80)
        try:
            return self._wait_for_grant()
        except BaseException as error:  # also KeyboardInterrupt: closing leaves the line
            self._connection.close()
            if isinstance(error, (OSError, http.client.HTTPException)):
                raise Refused("unavailable", f"no answer from mgpu at {self._url.geturl()}: {error}") from error
            raise

    def __exit__(self, *_):
        for end in (self._answer, self._socket, self._connection):
            end.close()

    def ended(self):
        """None, or the Refused with the reason why the daemon ended the turn early. Does not block."""
        self._socket.settimeout(0)
        try:
            buffered = self._answer.fp.peek(1) if self._answer.fp else b""  # may have been received with the grant
        finally:
            self._socket.settimeout(None)
        if b"{" not in buffered and not select.select([self._socket], [], [], 0)[0]:
            return None
        try:
            line = self._answer.readline()
        except (OSError, http.client.HTTPException):
            line = b""
        if line and not line.strip():
            return None  # a keep-alive line
        return _parse_refusal(json.loads(line or b"{}"), "unavailable")

    def _wait_for_grant(self):
        self._connection.request("POST", "/v1/leases", json.dumps(self._body), {"Content-Type": "application/json"})
        self._socket = self._connection.sock
        self._answer = self._connection.getresponse()
        if self._answer.status != 200:
            raise _parse_refusal(json.loads(self._answer.read() or b"{}"), "internal")
        for line in iter(self._answer.readline, b""):
            event = json.loads(line) if line.strip() else {}
            if event.get("event") == "granted":
                self.ticket, self.device = event.get("ticket"), event.get("device")
                return self
            if event.get("event") == "ended":
                raise _parse_refusal(event, "internal")
            if event.get("event") == "waiting":
                self._on_waiting(event["place"])
        raise Refused("unavailable", "the daemon closed the connection")


def run(consumer, job, **options):
    """Waits for the consumer's turn, calls job() in it, and returns its result."""
    with lease(consumer, **options):
        return job()


def _parse_refusal(answer, code):
    error = answer.get("error") or {}
    return Refused(error.get("code", code), error.get("message", "the daemon gave no reason"))

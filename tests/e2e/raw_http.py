"""Both ends of a connection as bytes: a service that answers what it is told to, a client that sends what no library
would, and a strict reading of what comes back."""
import re
import socket
import threading
import time

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"


class Malformed(Exception):
    pass


def read_head(data, first):
    """Of a message that must be read in one way only: (match of its first line, headers, what follows), or None while
    it is not whole."""
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return None
    lines = head.split(b"\r\n")
    start = re.fullmatch(first, lines[0])
    if not start:
        raise Malformed(f"first line {lines[0]!r}")
    headers = []
    for line in lines[1:]:
        match = re.fullmatch(b"(" + TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)", line)
        if not match:
            raise Malformed(f"header {line!r}")
        headers.append((match[1].lower().decode(), match[2].strip(b" \t").decode("latin1")))
    return start, headers, rest


def values(headers, name):
    return [value for key, value in headers if key == name]


def read_body(headers, rest, closed, bodiless=False):
    """(body, what follows, whether it is whole), by the one framing that the headers give."""
    lengths, codings = values(headers, "content-length"), values(headers, "transfer-encoding")
    if len(lengths) + len(codings) > 1 or (codings and codings != ["chunked"]) or not all(re.fullmatch("[0-9]+", n) for n in lengths):
        raise Malformed(f"framing {lengths} {codings}")
    if bodiless or (not lengths and not codings and closed is None):
        return b"", rest, True
    if lengths:
        length = int(lengths[0])
        return rest[:length], rest[length:], len(rest) >= length
    if not codings:  # until the end of the connection
        return rest, b"", closed == "end"
    body = b""
    while True:
        size, found, rest = rest.partition(b"\r\n")
        if not found:
            return body, b"", False
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}(;.*)?", size):
            raise Malformed(f"chunk size {size!r}")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            break
        body += rest[:length]
        if len(rest) < length + 2:
            return body, b"", False
        if rest[length:length + 2] != b"\r\n":
            raise Malformed(f"after a chunk {rest[length:length + 2]!r}")
        rest = rest[length + 2:]
    while True:  # trailers
        line, found, rest = rest.partition(b"\r\n")
        if not found:
            return body, b"", False
        if not line:
            return body, rest, True


class Answer:
    def __init__(self, status, headers, body, whole):
        self.status, self.headers, self.body, self.whole = status, headers, body, whole

    def __repr__(self):
        return f"<{self.status} {self.body[:80]!r}{'' if self.whole else ' broken off'}>"


class Heard:
    """All that a client heard on one connection: `answers` (final ones), and how it ended: end, reset or None."""

    def __init__(self, data, ended, method="GET"):
        self.data, self.ended, self.answers = data, ended, []
        while data:
            read = read_head(data, rb"HTTP/1\.[01] ([1-9][0-9][0-9])( .*)?")
            if not read:
                self.cut = data
                return
            start, headers, rest = read
            status = int(start[1])
            if status < 200:
                data = rest
                continue
            body, data, whole = read_body(headers, rest, ended or "open", status in (204, 304) or method == "HEAD")
            self.answers.append(Answer(status, headers, body, whole))

    def __repr__(self):
        return f"{self.answers}, then {self.ended}"


def speak(address, pieces, seconds=5, method="GET", until_closed=True):
    """Sends bytes, or pieces of them, and hears until the other end closes, or for so long. Stops sending where nobody
    listens any more."""
    with socket.create_connection(address, timeout=seconds) as talk:
        talk.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data, ended = b"", None
        until = time.monotonic() + seconds
        try:
            for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                talk.sendall(piece)
        except OSError:
            pass
        try:
            while True:
                talk.settimeout(max(0.01, until - time.monotonic()))
                piece = talk.recv(65536)
                if not piece:
                    ended = "end"
                    break
                data += piece
                if not until_closed and (heard := Heard(data, None, method)).answers and heard.answers[-1].whole:
                    return heard
        except TimeoutError:
            pass
        except OSError:
            ended = "reset"
        return Heard(data, ended, method)


class RawService:
    """A service on a port of its own. Each request is read strictly and kept in `requests` as (target, body, number of
    its connection); `answer(target)` gives the bytes to answer with, or an iterator of them, or None to hang up."""

    def __init__(self, answer=None):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.answer = answer or (lambda target: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.requests, self.malformed, self.connections = [], [], 0
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self):
        self.listener.close()

    def targets(self):
        return [target for target, _, _ in self.requests]

    def _listen(self):
        while True:
            try:
                talk, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(talk, self.connections), daemon=True).start()

    def _serve(self, talk, number):
        data = b""
        with talk:
            try:
                while True:
                    read = read_head(data, b"(" + TOKEN + rb") ([\x21-\x7e\x80-\xff]+) HTTP/1\.1")
                    if read:
                        start, headers, rest = read
                        if len(values(headers, "host")) != 1:
                            raise Malformed(f"hosts {values(headers, 'host')}")
                        body, rest, whole = read_body(headers, rest, None)
                    if not read or not whole:
                        piece = talk.recv(65536)
                        if not piece:
                            return
                        data += piece
                        continue
                    data, target = rest, start[2].decode("latin1")
                    if target == "/health":
                        talk.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                        continue
                    self.requests.append((target, body, number))
                    answer = self.answer(target)
                    if answer is None:
                        return
                    for piece in [answer] if isinstance(answer, bytes) else answer:
                        talk.sendall(piece)
            except Malformed as why:
                self.malformed.append(str(why))
            except OSError:
                pass

"""HTTP as bytes: a service that answers with given bytes, a client that sends requests no library would send, and a
strict parser for what comes back."""
import re
import socket
import threading
import time

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"


class MalformedHttp(Exception):
    pass


def read_head(data, first):
    """Parses a message's head strictly: (match of its first line, headers, remaining bytes); None while it is incomplete."""
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return None
    lines = head.split(b"\r\n")
    start = re.fullmatch(first, lines[0])
    if not start:
        raise MalformedHttp(f"first line {lines[0]!r}")
    headers = []
    for line in lines[1:]:
        match = re.fullmatch(b"(" + TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)", line)
        if not match:
            raise MalformedHttp(f"header {line!r}")
        headers.append((match[1].lower().decode(), match[2].strip(b" \t").decode("latin1")))
    return start, headers, rest


def header_values(headers, name):
    return [value for key, value in headers if key == name]


def read_body(headers, rest, closed, bodiless=False):
    """(body, remaining bytes, whether the body is complete), by the only framing that the headers give."""
    lengths, codings = header_values(headers, "content-length"), header_values(headers, "transfer-encoding")
    valid_lengths = all(re.fullmatch("[0-9]+", length) for length in lengths)
    if len(lengths) + len(codings) > 1 or (codings and codings != ["chunked"]) or not valid_lengths:
        raise MalformedHttp(f"framing {lengths} {codings}")
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
            raise MalformedHttp(f"chunk size {size!r}")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            break
        body += rest[:length]
        if len(rest) < length + 2:
            return body, b"", False
        if rest[length:length + 2] != b"\r\n":
            raise MalformedHttp(f"after a chunk {rest[length:length + 2]!r}")
        rest = rest[length + 2:]
    while True:  # trailers
        line, found, rest = rest.partition(b"\r\n")
        if not found:
            return body, b"", False
        if not line:
            return body, rest, True


class Answer:
    def __init__(self, status, headers, body, is_complete):
        self.status, self.headers, self.body, self.is_complete = status, headers, body, is_complete

    def __repr__(self):
        return f"<{self.status} {self.body[:80]!r}{'' if self.is_complete else ' incomplete'}>"


class RawExchange:
    """All bytes that a client received on one connection, parsed: the final `answers`, the `unparsed` rest, and the
    `end_kind`: "end" (FIN), "reset", or None while it is open."""

    def __init__(self, data, end_kind, method="GET"):
        self.data, self.end_kind, self.answers = data, end_kind, []
        while data:
            read = read_head(data, rb"HTTP/1\.[01] ([1-9][0-9][0-9])( .*)?")
            if not read:
                self.unparsed = data
                return
            start, headers, rest = read
            status = int(start[1])
            if status < 200:
                data = rest
                continue
            body, data, is_complete = read_body(headers, rest, end_kind or "open", status in (204, 304) or method == "HEAD")
            self.answers.append(Answer(status, headers, body, is_complete))

    def __repr__(self):
        return f"{self.answers}, then {self.end_kind}"


def exchange_bytes(address, pieces, seconds=5, method="GET", until_closed=True):
    """Sends the pieces and receives until the peer closes the connection or `seconds` are over. A failed send ends the
    sending, not the receiving."""
    with socket.create_connection(address, timeout=seconds) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data, end_kind = b"", None
        until = time.monotonic() + seconds
        try:
            for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                connection.sendall(piece)
        except OSError:
            pass
        try:
            while True:
                connection.settimeout(max(0.01, until - time.monotonic()))
                piece = connection.recv(65536)
                if not piece:
                    end_kind = "end"
                    break
                data += piece
                if not until_closed:
                    exchange = RawExchange(data, None, method)
                    if exchange.answers and exchange.answers[-1].is_complete:
                        return exchange
        except TimeoutError:
            pass
        except OSError:
            end_kind = "reset"
        return RawExchange(data, end_kind, method)


class RawService:
    """A service on a port of its own. Each request is parsed strictly and kept in `requests` as (target, body, number of
    its connection). `answer(target)` returns the bytes of the answer, an iterator of them, or None to close."""

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
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection, number):
        data = b""
        with connection:
            try:
                while True:
                    read = read_head(data, b"(" + TOKEN + rb") ([\x21-\x7e\x80-\xff]+) HTTP/1\.1")
                    if read:
                        start, headers, rest = read
                        if len(header_values(headers, "host")) != 1:
                            raise MalformedHttp(f"hosts {header_values(headers, 'host')}")
                        body, rest, is_complete = read_body(headers, rest, None)
                    if not read or not is_complete:
                        piece = connection.recv(65536)
                        if not piece:
                            return
                        data += piece
                        continue
                    data, target = rest, start[2].decode("latin1")
                    if target == "/health":
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                        continue
                    self.requests.append((target, body, number))
                    answer = self.answer(target)
                    if answer is None:
                        return
                    for piece in [answer] if isinstance(answer, bytes) else answer:
                        connection.sendall(piece)
            except MalformedHttp as error:
                self.malformed.append(str(error))
            except OSError:
                pass

"""An ambiguous answer of a service becomes a 502 or a stream that visibly breaks off. Its connection is not reused, so that
no client gets the rest of another client's answer."""
import pathlib
import re

import pytest

from raw_http import MalformedHttp, RawService, exchange_bytes

MiB = 1 << 20
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"


def answer_bytes(*headers, body=b"hello", start=b"HTTP/1.1 200 OK"):
    return b"\r\n".join([start, *headers]) + b"\r\n\r\n" + body


def chunked_answer(body, *more):
    return answer_bytes(b"Transfer-Encoding: chunked", *more, body=body)


LENGTH = b"Content-Length: 5"
# POISON follows each answer; no client may receive it.
MALFORMED = {
    # framing
    "two lengths": answer_bytes(LENGTH, b"Content-Length: 6"),
    "a length twice": answer_bytes(LENGTH, LENGTH),
    "a list of lengths": answer_bytes(b"Content-Length: 5, 6"),
    "a list of equal lengths": answer_bytes(b"Content-Length: 5, 5"),
    "a negative length": answer_bytes(b"Content-Length: -1"),
    "a length with a plus": answer_bytes(b"Content-Length: +5"),
    "a hexadecimal length": answer_bytes(b"Content-Length: 0x5"),
    "an empty length": answer_bytes(b"Content-Length:"),
    "a length beyond 64 bits": answer_bytes(b"Content-Length: 18446744073709551621"),
    "a length and a NUL": answer_bytes(b"Content-Length: 5\x00"),
    "a coding and a length": answer_bytes(b"Transfer-Encoding: chunked", LENGTH, body=CHUNKED),
    "a length and a coding": answer_bytes(LENGTH, b"Transfer-Encoding: chunked", body=CHUNKED),
    "an unknown coding": answer_bytes(b"Transfer-Encoding: xchunked", body=CHUNKED),
    "chunked twice": answer_bytes(b"Transfer-Encoding: chunked, chunked", body=CHUNKED),
    "chunked, then another": answer_bytes(b"Transfer-Encoding: chunked, gzip", body=CHUNKED),
    "another, then chunked": answer_bytes(b"Transfer-Encoding: gzip, chunked", body=CHUNKED),
    "chunked on two lines": answer_bytes(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=CHUNKED),
    "a VT before chunked": answer_bytes(b"Transfer-Encoding: \x0bchunked", body=CHUNKED),
    "a folded coding": answer_bytes(b"Transfer-Encoding:\r\n chunked", body=CHUNKED),
    "a space before the colon of a length": answer_bytes(b"Content-Length : 5"),
    # lines
    "a bare LF after the status line": b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello",
    "bare LFs": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "a bare LF between headers": answer_bytes(b"X-A: b\nX-C: d", LENGTH),
    "a bare LF at the end": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello",
    "a bare CR in a value": answer_bytes(b"X-A: b\rX-C: d", LENGTH),
    "a NUL in a value": answer_bytes(b"X-A: b\x00c", LENGTH),
    "an escape in a value": answer_bytes(b"X-A: \x1b[2J", LENGTH),
    "a NUL in a name": answer_bytes(b"X\x00A: b", LENGTH),
    "a space in a name": answer_bytes(b"X A: b", LENGTH),
    "an empty name": answer_bytes(b": b", LENGTH),
    "a header without a colon": answer_bytes(b"nonsense", LENGTH),
    # the status line
    "a status of two digits": answer_bytes(LENGTH, start=b"HTTP/1.1 20 OK"),
    "a status of four digits": answer_bytes(LENGTH, start=b"HTTP/1.1 2000 OK"),
    "a status that is no number": answer_bytes(LENGTH, start=b"HTTP/1.1 abc OK"),
    "a negative status": answer_bytes(LENGTH, start=b"HTTP/1.1 -200 OK"),
    "a status of 0": answer_bytes(LENGTH, start=b"HTTP/1.1 000 OK"),
    "HTTP/2.0": answer_bytes(LENGTH, start=b"HTTP/2.0 200 OK"),
    "another protocol": answer_bytes(LENGTH, start=b"ICY 200 OK"),
    "no status line": b"hello\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a control character in the reason": answer_bytes(LENGTH, start=b"HTTP/1.1 200 O\x00K"),
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46" * 20,
    "an unrequested 101": answer_bytes(b"Upgrade: websocket", b"Connection: Upgrade", start=b"HTTP/1.1 101 Switching"),
    # chunks
    "a chunk size with 0x": chunked_answer(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size with a plus": chunked_answer(b"+5\r\nhello\r\n0\r\n\r\n"),
    "a negative chunk size": chunked_answer(b"-5\r\nhello\r\n0\r\n\r\n"),
    "a space before a chunk size": chunked_answer(b" 5\r\nhello\r\n0\r\n\r\n"),
    "no chunk size": chunked_answer(b"\r\nhello\r\n0\r\n\r\n"),
    "a chunk size that is no number": chunked_answer(b"g\r\nhello\r\n0\r\n\r\n"),
    "a chunk size of 17 digits": chunked_answer(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "nothing after a chunk": chunked_answer(b"5\r\nhello0\r\n\r\n"),
    "a LF after a chunk": chunked_answer(b"5\r\nhello\n0\r\n\r\n"),
    "a chunk longer than it says": chunked_answer(b"3\r\nhello\r\n0\r\n\r\n"),
    "a LF after a chunk size": chunked_answer(b"5\nhello\r\n0\r\n\r\n"),
    "a LF in a chunk extension": chunked_answer(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "a NUL in a chunk extension": chunked_answer(b"5;a\x00b\r\nhello\r\n0\r\n\r\n"),
    "a LF at the end of chunks": chunked_answer(b"5\r\nhello\r\n0\n\r\n"),
    "a LF in the trailers": chunked_answer(b"5\r\nhello\r\n0\r\nX-A: b\nX-C: d\r\n\r\n"),
    "a trailer without a colon": chunked_answer(b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n"),
    "a broken chunk after a good one": chunked_answer(b"5\r\nhello\r\nxyz\r\n"),
}

# Bytes after a complete answer: the answer passes, the connection is not reused.
TOO_LONG = {
    "more than its length": answer_bytes(LENGTH),
    "more than its chunks": chunked_answer(CHUNKED),
    "a body after a 204": answer_bytes(start=b"HTTP/1.1 204 No Content", body=b""),
    "a body after a 304": answer_bytes(b"Content-Length: 5", start=b"HTTP/1.1 304 Not Modified"),
}

PASSES = {
    "the plain case": answer_bytes(LENGTH),
    "Chunked": answer_bytes(b"transfer-encoding: Chunked", body=CHUNKED),
    "spaces around a length": answer_bytes(b"Content-Length: \t 5 \t "),
    "no reason": answer_bytes(LENGTH, start=b"HTTP/1.1 200 "),
    "Latin-1 in a value": answer_bytes(LENGTH, b"X-A: \xe4\tb"),
    "an empty value": answer_bytes(LENGTH, b"X-A:"),
    "a chunk extension in quotes": chunked_answer(b'5;a="b;c"\r\nhello\r\n0\r\n\r\n'),
    "chunk sizes with leading zeros": chunked_answer(b"0005\r\nhello\r\n000\r\n\r\n"),
    "trailers": chunked_answer(b"5\r\nhello\r\n0\r\nX-A: b\r\n\r\n"),
    "interim answers": answer_bytes(start=b"HTTP/1.1 102 Processing", body=b"")
    + answer_bytes(b"Link: </a>", start=b"HTTP/1.1 103 Early", body=b"") + answer_bytes(LENGTH),
    "an unusual status": answer_bytes(LENGTH, start=b"HTTP/1.1 299 Odd"),
}


class MalformedAnswerService:
    """A service that answers /odd with `next_answer` and every other path correctly, behind a daemon."""

    def __init__(self, harness):
        self.service = RawService(lambda target: self.next_answer if target == "/odd" else self.well_formed_answer(target))
        harness.write_config({"chat": {"footprint": "1GiB", "url": self.service.url}}, store="none",
                             limits={"max_header": "16KiB", "run_limit": "3s", "stall_limit": "2s"})
        harness.start_daemon(simulated="24GiB")
        self.address = harness.http_client.base_url.host, harness.http_client.base_url.port
        self.harness = harness

    def well_formed_answer(self, target):
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(target), target.encode())

    def request(self, target, method=b"GET", **more):
        request_bytes = method + b" /c/chat" + target + b" HTTP/1.1\r\nHost: mgpu\r\nConnection: close\r\n\r\n"
        try:
            return exchange_bytes(self.address, request_bytes, method=method.decode(), **more)
        except MalformedHttp as error:
            return f"the daemon sends a malformed answer: {error}"

    def send_answer_and_request(self, bytes_or_pieces, number, **more):
        """Requests the given answer, then a correct one: (exchange of the first client, problem of the second one)."""
        self.next_answer = bytes_or_pieces
        exchange = self.request(b"/odd", **more)
        target = b"/fresh%d" % number
        next_exchange = self.request(target)
        connections = [connection for _, _, connection in self.service.requests[-2:]]
        if isinstance(next_exchange, str) or [(one.status, one.body) for one in next_exchange.answers] != [(200, target)]:
            return exchange, f"the next client gets {next_exchange}"
        return exchange, "the connection to the service is reused" if connections[0] == connections[1] else None


@pytest.fixture
def malformed_service(harness):
    malformed_service = MalformedAnswerService(harness)
    yield malformed_service
    malformed_service.service.close()


def contains_poison(exchange):
    return b"poison" in exchange.data if not isinstance(exchange, str) else False


def format_failures(failures):
    return "\n".join(f"{name}: {error}" for name, error in failures.items())


def test_what_is_ambiguous_never_reaches_a_client_as_a_whole_answer(malformed_service):
    failures = {}
    for number, (name, answer) in enumerate(MALFORMED.items()):
        exchange, next_problem = malformed_service.send_answer_and_request(answer + POISON, number)
        if isinstance(exchange, str) or len(exchange.answers) > 1 or contains_poison(exchange) or not exchange.end_kind:
            failures[name] = exchange
        elif exchange.answers and exchange.answers[0].is_complete and exchange.answers[0].status != 502:
            failures[name] = f"passes: {exchange}"
        elif next_problem:
            failures[name] = f"{exchange}, but {next_problem}"
    assert not failures, format_failures(failures)
    malformed_service.harness.wait_until_quiet()


def test_what_follows_an_answer_goes_to_nobody(malformed_service):
    failures = {}
    for number, (name, answer) in enumerate(TOO_LONG.items()):
        exchange, next_problem = malformed_service.send_answer_and_request(answer + POISON, number)
        status = int(re.match(rb"HTTP/1.1 (\d+)", answer)[1])
        if isinstance(exchange, str) or contains_poison(exchange) or \
                [(answer.status, answer.is_complete) for answer in exchange.answers] != [(status, True)]:
            failures[name] = exchange
        elif next_problem:
            failures[name] = next_problem
    exchange, next_problem = malformed_service.send_answer_and_request(answer_bytes(LENGTH) + POISON, 99, method=b"HEAD")
    if isinstance(exchange, str) or contains_poison(exchange) or next_problem or \
            [answer.status for answer in exchange.answers] != [200]:
        failures["a body after a HEAD"] = (exchange, next_problem)
    assert not failures, format_failures(failures)


def test_what_is_merely_unusual_passes(malformed_service):
    failures = {}
    for name, answer in PASSES.items():
        malformed_service.next_answer = answer
        exchange = malformed_service.request(b"/odd")
        if isinstance(exchange, str) or \
                [(answer.status // 100, answer.body, answer.is_complete) for answer in exchange.answers] != [(2, b"hello", True)]:
            failures[name] = exchange
    assert not failures, format_failures(failures)


ENDLESS = {
    "a status line": (b"HTTP/1.1 200 ", b"x" * MiB),
    "a header": (b"HTTP/1.1 200 OK\r\nX-A: ", b"x" * MiB),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 100_000),
    "interim answers": (b"", b"HTTP/1.1 102 Processing\r\nX-A: b\r\n\r\n" * 20_000),
    "a chunk extension": (chunked_answer(b"5;a="), b"b" * MiB),
    "chunk extensions": (chunked_answer(b""), (b"1;a=" + b"b" * 1000 + b"\r\nh\r\n") * 1000),
    "leading zeros of a chunk size": (chunked_answer(b""), b"0" * MiB),
    "a trailer": (chunked_answer(b"5\r\nhello\r\n0\r\nX-A: "), b"b" * MiB),
    "trailers": (chunked_answer(b"5\r\nhello\r\n0\r\n"), b"X-A: b\r\n" * 100_000),
}


def test_what_has_no_end_is_given_up_before_it_fills_anything(malformed_service):
    def daemon_rss():
        return int(pathlib.Path(f"/proc/{malformed_service.harness.daemon.pid}/statm").read_text().split()[1]) * 4096

    before, failures = daemon_rss(), {}
    for number, (name, (begin, more)) in enumerate(ENDLESS.items()):
        sent = 0

        def pieces():
            nonlocal sent
            yield begin
            while sent < 64 * MiB:
                sent += len(more)
                yield more

        exchange, next_problem = malformed_service.send_answer_and_request(pieces(), number)
        if isinstance(exchange, str) or len(exchange.answers) > 1 or not exchange.end_kind:
            failures[name] = exchange
        elif exchange.answers and exchange.answers[0].is_complete and exchange.answers[0].status != 502:
            failures[name] = f"passes: {exchange}"
        elif sent > 24 * MiB:
            failures[name] = f"{sent >> 20} MiB were accepted; {exchange}"
        elif daemon_rss() > before + 24 * MiB:
            failures[name] = f"the daemon grew from {before >> 20} to {daemon_rss() >> 20} MiB"
        elif next_problem:
            failures[name] = next_problem
    assert not failures, format_failures(failures)
    malformed_service.harness.wait_until_quiet()

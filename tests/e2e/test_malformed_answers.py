"""Whatever a service answers that two readers could read differently becomes a 502, or a stream that visibly breaks off.
Its connection is never used again, so that nobody gets the rest of somebody else's answer."""
import pathlib
import re

import pytest

from raw_http import Malformed, RawService, speak

MiB = 1 << 20
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"


def answer(*headers, body=b"hello", start=b"HTTP/1.1 200 OK"):
    return b"\r\n".join([start, *headers]) + b"\r\n\r\n" + body


def chunks(body, *more):
    return answer(b"Transfer-Encoding: chunked", *more, body=body)


LENGTH = b"Content-Length: 5"
# Each is followed by POISON, which no client may ever see.
MALFORMED = {
    # framing
    "two lengths": answer(LENGTH, b"Content-Length: 6"),
    "a length twice": answer(LENGTH, LENGTH),
    "a list of lengths": answer(b"Content-Length: 5, 6"),
    "a list of equal lengths": answer(b"Content-Length: 5, 5"),
    "a negative length": answer(b"Content-Length: -1"),
    "a length with a plus": answer(b"Content-Length: +5"),
    "a hexadecimal length": answer(b"Content-Length: 0x5"),
    "an empty length": answer(b"Content-Length:"),
    "a length beyond 64 bits": answer(b"Content-Length: 18446744073709551621"),
    "a length and a NUL": answer(b"Content-Length: 5\x00"),
    "a coding and a length": answer(b"Transfer-Encoding: chunked", LENGTH, body=CHUNKED),
    "a length and a coding": answer(LENGTH, b"Transfer-Encoding: chunked", body=CHUNKED),
    "an unknown coding": answer(b"Transfer-Encoding: xchunked", body=CHUNKED),
    "chunked twice": answer(b"Transfer-Encoding: chunked, chunked", body=CHUNKED),
    "chunked, then another": answer(b"Transfer-Encoding: chunked, gzip", body=CHUNKED),
    "another, then chunked": answer(b"Transfer-Encoding: gzip, chunked", body=CHUNKED),
    "chunked on two lines": answer(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=CHUNKED),
    "a VT before chunked": answer(b"Transfer-Encoding: \x0bchunked", body=CHUNKED),
    "a folded coding": answer(b"Transfer-Encoding:\r\n chunked", body=CHUNKED),
    "a space before the colon of a length": answer(b"Content-Length : 5"),
    # lines
    "a bare LF after the status line": b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello",
    "bare LFs": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "a bare LF between headers": answer(b"X-A: b\nX-C: d", LENGTH),
    "a bare LF at the end": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello",
    "a bare CR in a value": answer(b"X-A: b\rX-C: d", LENGTH),
    "a NUL in a value": answer(b"X-A: b\x00c", LENGTH),
    "an escape in a value": answer(b"X-A: \x1b[2J", LENGTH),
    "a NUL in a name": answer(b"X\x00A: b", LENGTH),
    "a space in a name": answer(b"X A: b", LENGTH),
    "an empty name": answer(b": b", LENGTH),
    "a header without a colon": answer(b"nonsense", LENGTH),
    # the status line
    "a status of two digits": answer(LENGTH, start=b"HTTP/1.1 20 OK"),
    "a status of four digits": answer(LENGTH, start=b"HTTP/1.1 2000 OK"),
    "a status that is no number": answer(LENGTH, start=b"HTTP/1.1 abc OK"),
    "a negative status": answer(LENGTH, start=b"HTTP/1.1 -200 OK"),
    "a status of 0": answer(LENGTH, start=b"HTTP/1.1 000 OK"),
    "HTTP/2.0": answer(LENGTH, start=b"HTTP/2.0 200 OK"),
    "another protocol": answer(LENGTH, start=b"ICY 200 OK"),
    "no status line": b"hello\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a control character in the reason": answer(LENGTH, start=b"HTTP/1.1 200 O\x00K"),
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46" * 20,
    "a 101 that nobody asked for": answer(b"Upgrade: websocket", b"Connection: Upgrade", start=b"HTTP/1.1 101 Switching"),
    # chunks
    "a chunk size with 0x": chunks(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size with a plus": chunks(b"+5\r\nhello\r\n0\r\n\r\n"),
    "a negative chunk size": chunks(b"-5\r\nhello\r\n0\r\n\r\n"),
    "a space before a chunk size": chunks(b" 5\r\nhello\r\n0\r\n\r\n"),
    "no chunk size": chunks(b"\r\nhello\r\n0\r\n\r\n"),
    "a chunk size that is no number": chunks(b"g\r\nhello\r\n0\r\n\r\n"),
    "a chunk size of 17 digits": chunks(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "nothing after a chunk": chunks(b"5\r\nhello0\r\n\r\n"),
    "a LF after a chunk": chunks(b"5\r\nhello\n0\r\n\r\n"),
    "a chunk longer than it says": chunks(b"3\r\nhello\r\n0\r\n\r\n"),
    "a LF after a chunk size": chunks(b"5\nhello\r\n0\r\n\r\n"),
    "a LF in a chunk extension": chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "a NUL in a chunk extension": chunks(b"5;a\x00b\r\nhello\r\n0\r\n\r\n"),
    "a LF at the end of chunks": chunks(b"5\r\nhello\r\n0\n\r\n"),
    "a LF in the trailers": chunks(b"5\r\nhello\r\n0\r\nX-A: b\nX-C: d\r\n\r\n"),
    "a trailer without a colon": chunks(b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n"),
    "a broken chunk after a good one": chunks(b"5\r\nhello\r\nxyz\r\n"),
}

# What follows a whole answer was not asked for: the answer passes, the connection is not used again.
TOO_LONG = {
    "more than its length": answer(LENGTH),
    "more than its chunks": chunks(CHUNKED),
    "a body after a 204": answer(start=b"HTTP/1.1 204 No Content", body=b""),
    "a body after a 304": answer(b"Content-Length: 5", start=b"HTTP/1.1 304 Not Modified"),
}

PASSES = {
    "the plain case": answer(LENGTH),
    "Chunked": answer(b"transfer-encoding: Chunked", body=CHUNKED),
    "spaces around a length": answer(b"Content-Length: \t 5 \t "),
    "no reason": answer(LENGTH, start=b"HTTP/1.1 200 "),
    "Latin-1 in a value": answer(LENGTH, b"X-A: \xe4\tb"),
    "an empty value": answer(LENGTH, b"X-A:"),
    "a chunk extension in quotes": chunks(b'5;a="b;c"\r\nhello\r\n0\r\n\r\n'),
    "chunk sizes with leading zeros": chunks(b"0005\r\nhello\r\n000\r\n\r\n"),
    "trailers": chunks(b"5\r\nhello\r\n0\r\nX-A: b\r\n\r\n"),
    "interim answers": answer(start=b"HTTP/1.1 102 Processing", body=b"") + answer(b"Link: </a>", start=b"HTTP/1.1 103 Early", body=b"")
    + answer(LENGTH),
    "an unusual status": answer(LENGTH, start=b"HTTP/1.1 299 Odd"),
}


class Story:
    """A service that answers what `next` says, and another client's request to it."""

    def __init__(self, house):
        self.service = RawService(lambda target: self.next if target == "/odd" else self.fresh(target))
        house.write_config({"chat": {"footprint": "1GiB", "url": self.service.url}}, store="none",
                           limits={"max_header": "16KiB", "run_limit": "3s", "stall_limit": "2s"})
        house.start_daemon(simulated="24GiB")
        self.at = house.http.base_url.host, house.http.base_url.port
        self.house = house

    def fresh(self, target):
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(target), target.encode())

    def ask(self, target, method=b"GET", **more):
        request = method + b" /c/chat" + target + b" HTTP/1.1\r\nHost: mgpu\r\nConnection: close\r\n\r\n"
        try:
            return speak(self.at, request, method=method.decode(), **more)
        except Malformed as why:
            return f"the client gets what is malformed: {why}"

    def play(self, bytes_or_pieces, number, **more):
        """(what the client hears, what is wrong with the request after it)"""
        self.next = bytes_or_pieces
        heard = self.ask(b"/odd", **more)
        after = self.ask(b"/fresh%d" % number)
        fine = not isinstance(after, str) and [(one.status, one.body) for one in after.answers] == [(200, b"/fresh%d" % number)]
        connections = [connection for _, _, connection in self.service.requests[-2:]]
        if not fine:
            return heard, f"the next client gets {after}"
        return heard, "the service's connection is used again" if connections[0] == connections[1] else None


@pytest.fixture
def story(house):
    story = Story(house)
    yield story
    story.service.close()


def seen_of_poison(heard):
    return b"poison" in heard.data if not isinstance(heard, str) else False


def told(wrong):
    return "\n".join(f"{name}: {why}" for name, why in wrong.items())


def test_what_is_ambiguous_never_reaches_a_client_as_a_whole_answer(story):
    wrong = {}
    for number, (name, said) in enumerate(MALFORMED.items()):
        heard, after = story.play(said + POISON, number)
        if isinstance(heard, str) or len(heard.answers) > 1 or seen_of_poison(heard) or not heard.ended:
            wrong[name] = heard
        elif heard.answers and heard.answers[0].whole and heard.answers[0].status != 502:
            wrong[name] = f"passes: {heard}"
        elif after:
            wrong[name] = f"{heard}, but {after}"
    assert not wrong, told(wrong)
    story.house.wait_until_quiet()


def test_what_follows_an_answer_goes_to_nobody(story):
    wrong = {}
    for number, (name, said) in enumerate(TOO_LONG.items()):
        heard, after = story.play(said + POISON, number)
        status = int(re.match(rb"HTTP/1.1 (\d+)", said)[1])
        if isinstance(heard, str) or [(one.status, one.whole) for one in heard.answers] != [(status, True)] or seen_of_poison(heard):
            wrong[name] = heard
        elif after:
            wrong[name] = after
    heard, after = story.play(answer(LENGTH) + POISON, 99, method=b"HEAD")
    if isinstance(heard, str) or [one.status for one in heard.answers] != [200] or seen_of_poison(heard) or after:
        wrong["a body after a HEAD"] = (heard, after)
    assert not wrong, told(wrong)


def test_what_is_merely_unusual_passes(story):
    wrong = {}
    for name, said in PASSES.items():
        story.next = said
        heard = story.ask(b"/odd")
        if isinstance(heard, str) or [(one.status // 100, one.body, one.whole) for one in heard.answers] != [(2, b"hello", True)]:
            wrong[name] = heard
    assert not wrong, told(wrong)


ENDLESS = {
    "a status line": (b"HTTP/1.1 200 ", b"x" * MiB),
    "a header": (b"HTTP/1.1 200 OK\r\nX-A: ", b"x" * MiB),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 100_000),
    "interim answers": (b"", b"HTTP/1.1 102 Processing\r\nX-A: b\r\n\r\n" * 20_000),
    "a chunk extension": (chunks(b"5;a="), b"b" * MiB),
    "chunk extensions": (chunks(b""), (b"1;a=" + b"b" * 1000 + b"\r\nh\r\n") * 1000),
    "leading zeros of a chunk size": (chunks(b""), b"0" * MiB),
    "a trailer": (chunks(b"5\r\nhello\r\n0\r\nX-A: "), b"b" * MiB),
    "trailers": (chunks(b"5\r\nhello\r\n0\r\n"), b"X-A: b\r\n" * 100_000),
}


def test_what_has_no_end_is_given_up_before_it_fills_anything(story):
    def memory():
        return int(pathlib.Path(f"/proc/{story.house.daemon.pid}/statm").read_text().split()[1]) * 4096

    before, wrong = memory(), {}
    for number, (name, (begin, more)) in enumerate(ENDLESS.items()):
        sent = 0

        def pieces():
            nonlocal sent
            yield begin
            while sent < 64 * MiB:
                sent += len(more)
                yield more

        heard, after = story.play(pieces(), number)
        if isinstance(heard, str) or len(heard.answers) > 1 or not heard.ended:
            wrong[name] = heard
        elif heard.answers and heard.answers[0].whole and heard.answers[0].status != 502:
            wrong[name] = f"passes: {heard}"
        elif sent > 24 * MiB:
            wrong[name] = f"{sent >> 20} MiB were taken; {heard}"
        elif memory() > before + 24 * MiB:
            wrong[name] = f"the daemon grew from {before >> 20} to {memory() >> 20} MiB"
        elif after:
            wrong[name] = after
    assert not wrong, told(wrong)
    story.house.wait_until_quiet()

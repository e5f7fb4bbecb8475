"""Whatever two readers could read differently is refused and the connection closed: what follows is never run as the
next request. What is merely unusual passes."""
import pathlib

import pytest

from raw_http import Malformed, RawService, speak

NEXT = b"GET /c/chat/smuggled HTTP/1.1\r\nHost: mgpu\r\n\r\n"
CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"


def post(*headers, body=b"hello", host=b"Host: mgpu", version=b"HTTP/1.1"):
    lines = [b"POST /c/chat/work " + version, *([host] if host else []), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(target=b"/c/chat/work", *headers, host=b"Host: mgpu", version=b"HTTP/1.1", method=b"GET"):
    lines = [method + b" " + target + b" " + version, *([host] if host else []), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def coded(value, body=CHUNKED, **more):
    return post(b"Transfer-Encoding:" + value, body=body, **more)


def sized(value, **more):
    return post(b"Content-Length:" + value, **more)


def chunks(body):
    return coded(b" chunked", body)


REFUSED = {
    # encodings
    "an unknown coding": coded(b" xchunked"),
    "identity": coded(b" identity"),
    "chunked, then another": coded(b" chunked, gzip"),
    "another, then chunked": coded(b" gzip, chunked"),
    "chunked twice": coded(b" chunked, chunked"),
    "chunked with a parameter": coded(b" chunked;q=1"),
    "chunked in quotes": coded(b' "chunked"'),
    "chunked and a word": coded(b" chunked foo"),
    "half the word": coded(b" chunk"),
    "no coding": coded(b""),
    "a VT before chunked": coded(b" \x0bchunked"),
    "a FF before chunked": coded(b"\x0cchunked"),
    "a NUL after chunked": coded(b" chunked\x00"),
    "a non-breaking space": coded(b" \xa0chunked"),
    "a folded coding": coded(b"\r\n chunked"),
    "two codings, two lines": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=CHUNKED),
    "chunked on two lines": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=CHUNKED),
    "a coding and a length": post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=CHUNKED),
    "a length and a coding": post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=CHUNKED),
    "an unknown coding and a length": post(b"Content-Length: 5", b"Transfer-Encoding: xchunked"),
    "a coding in HTTP/1.0": coded(b" chunked", version=b"HTTP/1.0"),
    "a space before the colon of a coding": post(b"Transfer-Encoding : chunked", body=CHUNKED),
    "a tab before the colon of a coding": post(b"Transfer-Encoding\t: chunked", body=CHUNKED),
    # lengths
    "a length twice": post(b"Content-Length: 5", b"Content-Length: 5"),
    "two lengths": post(b"Content-Length: 5", b"Content-Length: 6"),
    "two lengths, 0 first": post(b"Content-Length: 0", b"Content-Length: 5"),
    "a length with a plus": sized(b" +5"),
    "a negative length": sized(b" -1"),
    "a list of equal lengths": sized(b" 5,5"),
    "a list of lengths": sized(b" 5, 6"),
    "a length with a space in it": sized(b" 5 5"),
    "a hexadecimal length": sized(b" 0x5"),
    "an exponent": sized(b" 5e0"),
    "a fraction": sized(b" 5.0"),
    "an empty length": sized(b""),
    "a word for a length": sized(b" five"),
    "a length in quotes": sized(b' "5"'),
    "a length and a NUL": sized(b" 5\x00"),
    "a length and a VT": sized(b" \x0b5"),
    "a length beyond 64 bits": sized(b" 18446744073709551621"),
    "a length of 40 digits": sized(b" " + b"1" * 40),
    "a folded length": sized(b"\r\n 5"),
    "a space before the colon of a length": post(b"Content-Length : 5"),
    # ends of lines
    "a bare LF after the request line": b"GET /c/chat/work HTTP/1.1\nHost: mgpu\r\n\r\n",
    "bare LFs": b"GET /c/chat/work HTTP/1.1\nHost: mgpu\n\n",
    "a bare LF between headers": get(b"/c/chat/work", b"X-A: b\nX-C: d"),
    "a bare LF at the end": b"GET /c/chat/work HTTP/1.1\r\nHost: mgpu\r\n\n",
    "a bare CR in a value": get(b"/c/chat/work", b"X-A: b\rX-C: d"),
    "a bare CR between headers": b"GET /c/chat/work HTTP/1.1\r\nHost: mgpu\rX-A: b\r\n\r\n",
    "two CRs": b"GET /c/chat/work HTTP/1.1\r\nHost: mgpu\r\r\n\r\n",
    "a header with a LF that hides a coding": get(b"/c/chat/work", b"X-A: b\nTransfer-Encoding: chunked"),
    # headers
    "a folded header": get(b"/c/chat/work", b"X-A: b", b" c"),
    "a header folded with a tab": get(b"/c/chat/work", b"X-A: b", b"\tc"),
    "a first header that is folded": get(b"/c/chat/work", host=b" Host: mgpu"),
    "a NUL in a value": get(b"/c/chat/work", b"X-A: b\x00c"),
    "a control character in a value": get(b"/c/chat/work", b"X-A: b\x01c"),
    "an escape in a value": get(b"/c/chat/work", b"X-A: \x1b[2J"),
    "a DEL in a value": get(b"/c/chat/work", b"X-A: b\x7fc"),
    "a NUL in a name": get(b"/c/chat/work", b"X\x00A: b"),
    "a space in a name": get(b"/c/chat/work", b"X A: b"),
    "a space before the colon": get(b"/c/chat/work", b"X-A : b"),
    "a parenthesis in a name": get(b"/c/chat/work", b"X(A): b"),
    "a name that is not ASCII": get(b"/c/chat/work", b"X\xe4: b"),
    "an empty name": get(b"/c/chat/work", b": b"),
    "a header without a colon": get(b"/c/chat/work", b"nonsense"),
    # the request line
    "two spaces before the target": get(b" /c/chat/work"),
    "two spaces after the target": get(b"/c/chat/work "),
    "tabs": b"GET\t/c/chat/work\tHTTP/1.1\r\nHost: mgpu\r\n\r\n",
    "a space in the target": get(b"/c/chat/work more"),
    "a CR in the target": get(b"/c/chat/work\rmore"),
    "a NUL in the target": get(b"/c/chat/work\x00more"),
    "a control character in the target": get(b"/c/chat/work\x01"),
    "a DEL in the target": get(b"/c/chat/work\x7f"),
    "a target without a slash": get(b"c/chat/work"),
    "no target": b"GET HTTP/1.1\r\nHost: mgpu\r\n\r\n",
    "an empty target": get(b""),
    "a space before the method": get(method=b" GET"),
    "a method that is no token": get(method=b"GE(T"),
    "a method with a NUL": get(method=b"GET\x00"),
    "HTTP/0.9": b"GET /c/chat/work\r\n\r\n",
    "HTTP/2.0": get(version=b"HTTP/2.0"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version of three parts": get(version=b"HTTP/1.1.1"),
    "a version of two digits": get(version=b"HTTP/1.10"),
    "a version in small letters": get(version=b"http/1.1"),
    "no version": get(version=b"HTTP/"),
    "a space after the version": get(version=b"HTTP/1.1 "),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    # Host
    "no Host": get(host=None),
    "two Hosts": get(b"/c/chat/work", b"Host: other"),
    "the same Host twice": get(b"/c/chat/work", b"Host: mgpu"),
    "a Host with a space": get(host=b"Host: a b"),
    "a Host with a path": get(host=b"Host: a/b"),
    "a Host with a user": get(host=b"Host: a@b"),
    "a Host whose port is a word": get(host=b"Host: a:b"),
    "a Host with a bracket left open": get(host=b"Host: [::1"),
    "another Host than the target's": get(b"http://other/c/chat/work"),
    # chunks
    "a chunk size with 0x": chunks(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size with a plus": chunks(b"+5\r\nhello\r\n0\r\n\r\n"),
    "a negative chunk size": chunks(b"-5\r\nhello\r\n0\r\n\r\n"),
    "a space before a chunk size": chunks(b" 5\r\nhello\r\n0\r\n\r\n"),
    "a space after a chunk size": chunks(b"5 \r\nhello\r\n0\r\n\r\n"),
    "no chunk size": chunks(b"\r\nhello\r\n0\r\n\r\n"),
    "a chunk size that is no number": chunks(b"g\r\nhello\r\n0\r\n\r\n"),
    "an underscore in a chunk size": chunks(b"0_5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size of 17 digits": chunks(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "a chunk size of 40 digits": chunks(b"f" * 40 + b"\r\nhello\r\n0\r\n\r\n"),
    "nothing after a chunk": chunks(b"5\r\nhello0\r\n\r\n"),
    "a LF after a chunk": chunks(b"5\r\nhello\n0\r\n\r\n"),
    "a chunk longer than it says": chunks(b"3\r\nhello\r\n0\r\n\r\n"),
    "a LF after a chunk size": chunks(b"5\nhello\r\n0\r\n\r\n"),
    "a CR after a chunk size": chunks(b"5\rhello\r\n0\r\n\r\n"),
    "a LF in a chunk extension": chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "a CR in a chunk extension": chunks(b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "a NUL in a chunk extension": chunks(b"5;a\x00b\r\nhello\r\n0\r\n\r\n"),
    "a LF at the end of chunks": chunks(b"5\r\nhello\r\n0\n\r\n"),
    "a LF after the last chunk": chunks(b"5\r\nhello\r\n0\r\n\n"),
    "a LF in the trailers": chunks(b"5\r\nhello\r\n0\r\nX-A: b\nX-C: d\r\n\r\n"),
    "a trailer without a colon": chunks(b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n"),
    "a folded trailer": chunks(b"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n"),
    "a NUL in a trailer": chunks(b"5\r\nhello\r\n0\r\nX-A: \x00\r\n\r\n"),
}

PASSES = {
    "the plain case": sized(b" 5"),
    "no space after the colon": sized(b"5"),
    "spaces around a length": sized(b"  \t 5 \t "),
    "a length with leading zeros": sized(b" 005"),
    "Chunked": coded(b" Chunked"),
    "CHUNKED": post(b"TRANSFER-ENCODING: CHUNKED", body=CHUNKED),
    "spaces around chunked": coded(b" \t chunked \t"),
    "a header in small letters": post(b"content-length: 5", host=b"host: mgpu"),
    "an empty line before the request": b"\r\n" + sized(b" 5"),
    "an empty value": post(b"Content-Length: 5", b"X-A:"),
    "tabs and Latin-1 in a value": post(b"Content-Length: 5", b"X-A: a\tb \xe4"),
    "a Host with a port": sized(b" 5", host=b"Host: mgpu:8090"),
    "an IPv6 Host": sized(b" 5", host=b"Host: [::1]:8090"),
    "an IPv4 Host": sized(b" 5", host=b"Host: 127.0.0.1"),
    "a chunk extension": chunks(b"5;a=b;c\r\nhello\r\n0\r\n\r\n"),
    "a chunk extension in quotes": chunks(b'5;a="b;\\"c"\r\nhello\r\n0\r\n\r\n'),
    "a long chunk extension": chunks(b"5;a=" + b"b" * 2000 + b"\r\nhello\r\n0\r\n\r\n"),
    "chunk sizes with leading zeros": chunks(b"0005\r\nhello\r\n000\r\n\r\n"),
    "several chunks": chunks(b"1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n"),
    "trailers": chunks(b"5\r\nhello\r\n0\r\nX-A: b\r\nX-C: d\r\n\r\n"),
    "many headers": post(b"Content-Length: 5", *(b"X-%d: %d" % (i, i) for i in range(60))),
    "HTTP/1.0": sized(b" 5", version=b"HTTP/1.0"),
    "HTTP/1.0 without Host": sized(b" 5", version=b"HTTP/1.0", host=None),
}


@pytest.fixture
def service():
    service = RawService()
    yield service
    service.close()


@pytest.fixture
def at(house, service):
    """The daemon's address; its one consumer is the raw service."""
    house.write_config({"chat": {"footprint": "1GiB", "url": service.url}}, store="none",
                       limits={"max_header": "16KiB", "max_body": "1MiB", "stall_limit": "2s"})
    house.start_daemon(simulated="24GiB")
    return house.http.base_url.host, house.http.base_url.port


def hears(at, pieces):
    try:
        return speak(at, pieces)
    except Malformed as why:
        return f"an answer that is malformed itself: {why}"


def wrong_with_refusal(heard):
    if isinstance(heard, str):
        return heard
    if len(heard.answers) != 1 or heard.answers[0].status not in (400, 501, 505) or not heard.answers[0].whole:
        return f"is answered {heard.answers}"
    return None if heard.ended == "end" else "leaves the connection open" if not heard.ended else "is reset"


def test_what_is_ambiguous_is_refused_and_what_follows_is_not_run(at, service):
    wrong = {}
    for name, request in REFUSED.items():
        heard = hears(at, request + NEXT)
        why = wrong_with_refusal(heard)
        if "/smuggled" in service.targets():
            why = f"what follows is run; {heard}"
        if service.malformed:
            why = f"passes on what is malformed: {service.malformed}; {heard}"
        if why:
            wrong[name] = why
        service.requests.clear()
        service.malformed.clear()
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())


def test_what_is_ambiguous_is_refused_in_small_pieces_too(at, service):
    wrong = {}
    for name, request in list(REFUSED.items())[::4]:
        whole = request + NEXT
        heard = hears(at, [whole[i:i + 7] for i in range(0, len(whole), 7)])
        if (why := wrong_with_refusal(heard)) or "/smuggled" in service.targets():
            wrong[name] = why or "what follows is run"
        service.requests.clear()
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())


def test_what_is_merely_unusual_passes_and_so_does_what_follows(at, service):
    wrong = {}
    for name, request in PASSES.items():
        heard = hears(at, request + NEXT.replace(b"smuggled", b"next").replace(b"Host: mgpu", b"Host: mgpu\r\nConnection: close"))
        alone = b" HTTP/1.0\r\n" in request
        if isinstance(heard, str) or [answer.status for answer in heard.answers] != [200] * (1 if alone else 2):
            wrong[name] = heard
        elif [(target, body) for target, body, _ in service.requests] != [("/work", b"hello"), ("/next", b"")][:1 if alone else 2]:
            wrong[name] = service.requests[:]
        service.requests.clear()
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())
    assert not service.malformed


def memory(house):
    return int(pathlib.Path(f"/proc/{house.daemon.pid}/statm").read_text().split()[1]) * 4096


MiB = 1 << 20
ENDLESS = {
    "a request line": ([b"GET /c/chat/work"], b"x" * MiB),
    "a header": ([get()[:-2] + b"X-A: "], b"x" * MiB),
    "headers": ([get()[:-2]], b"X-A: b\r\n" * 100_000),
    "empty lines": ([], b"\r\n" * 500_000),
    "a chunk extension": ([chunks(b"5;a=")], b"b" * MiB),
    "chunk extensions": ([chunks(b"")], (b"1;a=" + b"b" * 1000 + b"\r\nh\r\n") * 1000),
    "small chunk extensions": ([chunks(b"")], b"1;abcdefgh\r\nh\r\n" * 60_000),
    "leading zeros of a chunk size": ([chunks(b"")], b"0" * MiB),
    "a trailer": ([chunks(b"5\r\nhello\r\n0\r\nX-A: ")], b"b" * MiB),
    "trailers": ([chunks(b"5\r\nhello\r\n0\r\n")], b"X-A: b\r\n" * 100_000),
}


@pytest.mark.parametrize("path", ["/c/chat/work", "/v1/chat/completions", "/v1/leases", "/no/such/thing"])
def test_what_has_no_end_is_refused_before_it_fills_anything(at, service, house, path):
    before = memory(house)
    wrong = {}
    for name, (begin, more) in ENDLESS.items():
        sent = 0

        def pieces():
            nonlocal sent
            for piece in begin:
                yield piece.replace(b"/c/chat/work", path.encode())
            while sent < 64 * MiB:
                yield more
                sent += len(more)

        heard = hears(at, pieces())
        if isinstance(heard, str) or not heard.ended:
            wrong[name] = heard
        elif heard.answers and heard.answers[-1].status not in (400, 404, 413, 414, 431):
            wrong[name] = heard
        elif sent >= 64 * MiB and not heard.answers:
            wrong[name] = f"nobody minded {sent >> 20} MiB"
        elif memory(house) > before + 24 * MiB:
            wrong[name] = f"the daemon grew from {before >> 20} to {memory(house) >> 20} MiB"
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())
    house.wait_until_quiet()


def test_a_target_beyond_max_header(at):
    heard = speak(at, get(b"/c/chat/" + b"x" * 20_000))
    assert [answer.status for answer in heard.answers] in ([413], [414], [431]) and heard.ended == "end"

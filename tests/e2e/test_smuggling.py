"""An ambiguous request is refused and its connection closed: the bytes after it never run as the next request. Unusual but
unambiguous requests pass."""
import pathlib

import pytest

from raw_http import MalformedHttp, RawService, exchange_bytes

NEXT = b"GET /c/chat/smuggled HTTP/1.1\r\nHost: mgpu\r\n\r\n"
CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"


def post(*headers, body=b"hello", host=b"Host: mgpu", version=b"HTTP/1.1"):
    lines = [b"POST /c/chat/work " + version, *([host] if host else []), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(target=b"/c/chat/work", *headers, host=b"Host: mgpu", version=b"HTTP/1.1", method=b"GET"):
    lines = [method + b" " + target + b" " + version, *([host] if host else []), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def post_with_transfer_encoding(value, body=CHUNKED, **more):
    return post(b"Transfer-Encoding:" + value, body=body, **more)


def post_with_content_length(value, **more):
    return post(b"Content-Length:" + value, **more)


def chunked_post(body):
    return post_with_transfer_encoding(b" chunked", body)


REFUSED = {
    # encodings
    "an unknown coding": post_with_transfer_encoding(b" xchunked"),
    "identity": post_with_transfer_encoding(b" identity"),
    "chunked, then another": post_with_transfer_encoding(b" chunked, gzip"),
    "another, then chunked": post_with_transfer_encoding(b" gzip, chunked"),
    "chunked twice": post_with_transfer_encoding(b" chunked, chunked"),
    "chunked with a parameter": post_with_transfer_encoding(b" chunked;q=1"),
    "chunked in quotes": post_with_transfer_encoding(b' "chunked"'),
    "chunked and a word": post_with_transfer_encoding(b" chunked foo"),
    "half the word": post_with_transfer_encoding(b" chunk"),
    "no coding": post_with_transfer_encoding(b""),
    "a VT before chunked": post_with_transfer_encoding(b" \x0bchunked"),
    "a FF before chunked": post_with_transfer_encoding(b"\x0cchunked"),
    "a NUL after chunked": post_with_transfer_encoding(b" chunked\x00"),
    "a non-breaking space": post_with_transfer_encoding(b" \xa0chunked"),
    "a folded coding": post_with_transfer_encoding(b"\r\n chunked"),
    "two codings, two lines": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=CHUNKED),
    "chunked on two lines": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=CHUNKED),
    "a coding and a length": post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=CHUNKED),
    "a length and a coding": post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=CHUNKED),
    "an unknown coding and a length": post(b"Content-Length: 5", b"Transfer-Encoding: xchunked"),
    "a coding in HTTP/1.0": post_with_transfer_encoding(b" chunked", version=b"HTTP/1.0"),
    "a space before the colon of a coding": post(b"Transfer-Encoding : chunked", body=CHUNKED),
    "a tab before the colon of a coding": post(b"Transfer-Encoding\t: chunked", body=CHUNKED),
    # lengths
    "a length twice": post(b"Content-Length: 5", b"Content-Length: 5"),
    "two lengths": post(b"Content-Length: 5", b"Content-Length: 6"),
    "two lengths, 0 first": post(b"Content-Length: 0", b"Content-Length: 5"),
    "a length with a plus": post_with_content_length(b" +5"),
    "a negative length": post_with_content_length(b" -1"),
    "a list of equal lengths": post_with_content_length(b" 5,5"),
    "a list of lengths": post_with_content_length(b" 5, 6"),
    "a length with a space in it": post_with_content_length(b" 5 5"),
    "a hexadecimal length": post_with_content_length(b" 0x5"),
    "an exponent": post_with_content_length(b" 5e0"),
    "a fraction": post_with_content_length(b" 5.0"),
    "an empty length": post_with_content_length(b""),
    "a word for a length": post_with_content_length(b" five"),
    "a length in quotes": post_with_content_length(b' "5"'),
    "a length and a NUL": post_with_content_length(b" 5\x00"),
    "a length and a VT": post_with_content_length(b" \x0b5"),
    "a length beyond 64 bits": post_with_content_length(b" 18446744073709551621"),
    "a length of 40 digits": post_with_content_length(b" " + b"1" * 40),
    "a folded length": post_with_content_length(b"\r\n 5"),
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
    "a chunk size with 0x": chunked_post(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size with a plus": chunked_post(b"+5\r\nhello\r\n0\r\n\r\n"),
    "a negative chunk size": chunked_post(b"-5\r\nhello\r\n0\r\n\r\n"),
    "a space before a chunk size": chunked_post(b" 5\r\nhello\r\n0\r\n\r\n"),
    "a space after a chunk size": chunked_post(b"5 \r\nhello\r\n0\r\n\r\n"),
    "no chunk size": chunked_post(b"\r\nhello\r\n0\r\n\r\n"),
    "a chunk size that is no number": chunked_post(b"g\r\nhello\r\n0\r\n\r\n"),
    "an underscore in a chunk size": chunked_post(b"0_5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size of 17 digits": chunked_post(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "a chunk size of 40 digits": chunked_post(b"f" * 40 + b"\r\nhello\r\n0\r\n\r\n"),
    "nothing after a chunk": chunked_post(b"5\r\nhello0\r\n\r\n"),
    "a LF after a chunk": chunked_post(b"5\r\nhello\n0\r\n\r\n"),
    "a chunk longer than it says": chunked_post(b"3\r\nhello\r\n0\r\n\r\n"),
    "a LF after a chunk size": chunked_post(b"5\nhello\r\n0\r\n\r\n"),
    "a CR after a chunk size": chunked_post(b"5\rhello\r\n0\r\n\r\n"),
    "a LF in a chunk extension": chunked_post(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "a CR in a chunk extension": chunked_post(b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "a NUL in a chunk extension": chunked_post(b"5;a\x00b\r\nhello\r\n0\r\n\r\n"),
    "a LF at the end of chunks": chunked_post(b"5\r\nhello\r\n0\n\r\n"),
    "a LF after the last chunk": chunked_post(b"5\r\nhello\r\n0\r\n\n"),
    "a LF in the trailers": chunked_post(b"5\r\nhello\r\n0\r\nX-A: b\nX-C: d\r\n\r\n"),
    "a trailer without a colon": chunked_post(b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n"),
    "a folded trailer": chunked_post(b"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n"),
    "a NUL in a trailer": chunked_post(b"5\r\nhello\r\n0\r\nX-A: \x00\r\n\r\n"),
}

PASSES = {
    "the plain case": post_with_content_length(b" 5"),
    "no space after the colon": post_with_content_length(b"5"),
    "spaces around a length": post_with_content_length(b"  \t 5 \t "),
    "a length with leading zeros": post_with_content_length(b" 005"),
    "Chunked": post_with_transfer_encoding(b" Chunked"),
    "CHUNKED": post(b"TRANSFER-ENCODING: CHUNKED", body=CHUNKED),
    "spaces around chunked": post_with_transfer_encoding(b" \t chunked \t"),
    "a header in small letters": post(b"content-length: 5", host=b"host: mgpu"),
    "an empty line before the request": b"\r\n" + post_with_content_length(b" 5"),
    "an empty value": post(b"Content-Length: 5", b"X-A:"),
    "tabs and Latin-1 in a value": post(b"Content-Length: 5", b"X-A: a\tb \xe4"),
    "a Host with a port": post_with_content_length(b" 5", host=b"Host: mgpu:8090"),
    "an IPv6 Host": post_with_content_length(b" 5", host=b"Host: [::1]:8090"),
    "an IPv4 Host": post_with_content_length(b" 5", host=b"Host: 127.0.0.1"),
    "a chunk extension": chunked_post(b"5;a=b;c\r\nhello\r\n0\r\n\r\n"),
    "a chunk extension in quotes": chunked_post(b'5;a="b;\\"c"\r\nhello\r\n0\r\n\r\n'),
    "a long chunk extension": chunked_post(b"5;a=" + b"b" * 2000 + b"\r\nhello\r\n0\r\n\r\n"),
    "chunk sizes with leading zeros": chunked_post(b"0005\r\nhello\r\n000\r\n\r\n"),
    "several chunks": chunked_post(b"1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n"),
    "trailers": chunked_post(b"5\r\nhello\r\n0\r\nX-A: b\r\nX-C: d\r\n\r\n"),
    "many headers": post(b"Content-Length: 5", *(b"X-%d: %d" % (i, i) for i in range(60))),
    "HTTP/1.0": post_with_content_length(b" 5", version=b"HTTP/1.0"),
    "HTTP/1.0 without Host": post_with_content_length(b" 5", version=b"HTTP/1.0", host=None),
}


@pytest.fixture
def raw_service():
    raw_service = RawService()
    yield raw_service
    raw_service.close()


@pytest.fixture
def daemon_address(harness, raw_service):
    """The address of a daemon whose only consumer is the raw service."""
    harness.write_config({"chat": {"footprint": "1GiB", "url": raw_service.url}}, store="none",
                         limits={"max_header": "16KiB", "max_body": "1MiB", "stall_limit": "2s"})
    harness.start_daemon(simulated="24GiB")
    return harness.http_client.base_url.host, harness.http_client.base_url.port


def exchange_or_malformed(daemon_address, pieces):
    try:
        return exchange_bytes(daemon_address, pieces)
    except MalformedHttp as why:
        return f"the daemon sends a malformed answer: {why}"


def refusal_problem(exchange):
    if isinstance(exchange, str):
        return exchange
    if len(exchange.answers) != 1 or exchange.answers[0].status not in (400, 501, 505) or not exchange.answers[0].is_complete:
        return f"is answered {exchange.answers}"
    return None if exchange.end_kind == "end" else "leaves the connection open" if not exchange.end_kind else "is reset"


def test_what_is_ambiguous_is_refused_and_what_follows_is_not_run(daemon_address, raw_service):
    failures = {}
    for name, request in REFUSED.items():
        exchange = exchange_or_malformed(daemon_address, request + NEXT)
        why = refusal_problem(exchange)
        if "/smuggled" in raw_service.targets():
            why = f"the bytes after it are run as a request; {exchange}"
        if raw_service.malformed:
            why = f"a malformed request is forwarded: {raw_service.malformed}; {exchange}"
        if why:
            failures[name] = why
        raw_service.requests.clear()
        raw_service.malformed.clear()
    assert not failures, "\n".join(f"{name}: {why}" for name, why in failures.items())


def test_what_is_ambiguous_is_refused_in_small_pieces_too(daemon_address, raw_service):
    failures = {}
    for name, request in list(REFUSED.items())[::4]:
        whole = request + NEXT
        exchange = exchange_or_malformed(daemon_address, [whole[i:i + 7] for i in range(0, len(whole), 7)])
        if (why := refusal_problem(exchange)) or "/smuggled" in raw_service.targets():
            failures[name] = why or "the bytes after it are run as a request"
        raw_service.requests.clear()
    assert not failures, "\n".join(f"{name}: {why}" for name, why in failures.items())


def test_what_is_merely_unusual_passes_and_so_does_what_follows(daemon_address, raw_service):
    failures = {}
    for name, request in PASSES.items():
        next_request = get(b"/c/chat/next", b"Connection: close")
        exchange = exchange_or_malformed(daemon_address, request + next_request)
        alone = b" HTTP/1.0\r\n" in request
        if isinstance(exchange, str) or [answer.status for answer in exchange.answers] != [200] * (1 if alone else 2):
            failures[name] = exchange
        elif [request[:2] for request in raw_service.requests] != [("/work", b"hello"), ("/next", b"")][:1 if alone else 2]:
            failures[name] = raw_service.requests[:]
        raw_service.requests.clear()
    assert not failures, "\n".join(f"{name}: {why}" for name, why in failures.items())
    assert not raw_service.malformed


def daemon_rss(harness):
    return int(pathlib.Path(f"/proc/{harness.daemon.pid}/statm").read_text().split()[1]) * 4096


MiB = 1 << 20
ENDLESS = {
    "a request line": ([b"GET /c/chat/work"], b"x" * MiB),
    "a header": ([get()[:-2] + b"X-A: "], b"x" * MiB),
    "headers": ([get()[:-2]], b"X-A: b\r\n" * 100_000),
    "empty lines": ([], b"\r\n" * 500_000),
    "a chunk extension": ([chunked_post(b"5;a=")], b"b" * MiB),
    "chunk extensions": ([chunked_post(b"")], (b"1;a=" + b"b" * 1000 + b"\r\nh\r\n") * 1000),
    "small chunk extensions": ([chunked_post(b"")], b"1;abcdefgh\r\nh\r\n" * 60_000),
    "leading zeros of a chunk size": ([chunked_post(b"")], b"0" * MiB),
    "a trailer": ([chunked_post(b"5\r\nhello\r\n0\r\nX-A: ")], b"b" * MiB),
    "trailers": ([chunked_post(b"5\r\nhello\r\n0\r\n")], b"X-A: b\r\n" * 100_000),
}


@pytest.mark.parametrize("path", ["/c/chat/work", "/v1/chat/completions", "/v1/leases", "/no/such/thing"])
def test_what_has_no_end_is_refused_before_it_fills_anything(daemon_address, raw_service, harness, path):
    before = daemon_rss(harness)
    failures = {}
    for name, (begin, more) in ENDLESS.items():
        sent = 0

        def pieces():
            nonlocal sent
            for piece in begin:
                yield piece.replace(b"/c/chat/work", path.encode())
            while sent < 64 * MiB:
                yield more
                sent += len(more)

        exchange = exchange_or_malformed(daemon_address, pieces())
        if isinstance(exchange, str) or not exchange.end_kind:
            failures[name] = exchange
        elif exchange.answers and exchange.answers[-1].status not in (400, 404, 413, 414, 431):
            failures[name] = exchange
        elif sent >= 64 * MiB and not exchange.answers:
            failures[name] = f"{sent >> 20} MiB were accepted"
        elif daemon_rss(harness) > before + 24 * MiB:
            failures[name] = f"the daemon grew from {before >> 20} to {daemon_rss(harness) >> 20} MiB"
    assert not failures, "\n".join(f"{name}: {why}" for name, why in failures.items())
    harness.wait_until_quiet()


def test_a_target_beyond_max_header(daemon_address):
    exchange = exchange_bytes(daemon_address, get(b"/c/chat/" + b"x" * 20_000))
    assert [answer.status for answer in exchange.answers] in ([413], [414], [431]) and exchange.end_kind == "end"

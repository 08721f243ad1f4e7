"""Requests as hostile peers write them. After each: the server lives, and the next good request is answered."""
import socket
import time

from harness.client import Broken
from harness.story import Rows
from harness.upstream import digest_of

GOOD = b"GET /v2/ HTTP/1.1\r\nHost: cache.test\r\nConnection: close\r\n\r\n"
CLOSED = 0      # no reply, only the end of the connection


def request(line=b"GET /v2/ HTTP/1.1", fields=(), host=b"Host: cache.test", body=b""):
    return b"\r\n".join([line, *([host] if host else []), *fields, b"", b""]) + body


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else CLOSED


def walk(cache, table, timeout=5):
    """Each row: name, bytes, the statuses that are right. All of these must also close the connection."""
    with Rows() as rows:
        for name, data, right in table:
            try:
                answer = cache.raw(data, timeout)
                rows.check(status_of(answer) in right, name, answer[:120])
                if answer and status_of(answer) >= 400:
                    rows.check(answer.count(b"HTTP/1.1 ") == 1, f"{name}, one reply", answer[:300])
            except TimeoutError:
                rows.check(False, name, "the connection stays open")
            rows.check(status_of(cache.raw(GOOD)) == 200, f"{name}, afterwards", "no answer to a good request")


def test_two_opinions_about_the_length_are_refused(cache):
    length = b"Content-Length: 5"
    chunked = b"Transfer-Encoding: chunked"
    walk(cache, [
        ("A01 length and chunked", request(fields=[length, chunked], body=b"0\r\n\r\n"), {400}),
        ("A02 two lengths that differ", request(fields=[length, b"Content-Length: 6"], body=b"hello!"), {400}),
        ("A02 two lengths that agree", request(fields=[length, length], body=b"hello"), {400}),
        ("A04 a list of lengths", request(fields=[b"Content-Length: 5,5"], body=b"hello"), {400}),
        ("a signed length", request(fields=[b"Content-Length: +5"], body=b"hello"), {400}),
        ("a negative length", request(fields=[b"Content-Length: -5"]), {400}),
        ("a length in hex", request(fields=[b"Content-Length: 0x5"], body=b"hello"), {400}),
        ("an empty length", request(fields=[b"Content-Length:"]), {400}),
        ("a length beyond 64 bits", request(fields=[b"Content-Length: 18446744073709551617"]), {400, 413}),
        ("A06 two transfer encodings", request(fields=[chunked, chunked], body=b"0\r\n\r\n"), {400}),
        ("A06 transfer encoding on 1.0", request(b"GET /v2/ HTTP/1.0", [chunked], body=b"0\r\n\r\n"), {400}),
        ("an unknown transfer encoding", request(fields=[b"Transfer-Encoding: gzip, chunked"], body=b"0\r\n\r\n"), {400, 501}),
        ("a space before the colon", request(fields=[b"Content-Length : 5"], body=b"hello"), {400}),
    ])


def test_broken_chunks_are_refused(cache):
    def chunked(body):
        return request(b"GET /v2/ HTTP/1.1", [b"Transfer-Encoding: chunked"], body=body)
    walk(cache, [
        ("A08 a chunk that ends with LF", chunked(b"5\r\nhello\n0\r\n\r\n"), {400, 413}),
        ("A08 bytes between data and CRLF", chunked(b"5\r\nhelloXX\r\n0\r\n\r\n"), {400, 413}),
        ("A09 an extension of 64 KiB", chunked(b"5;" + b"x" * 65536 + b"\r\nhello\r\n0\r\n\r\n"), {400, 413}),
        ("a size that is no number", chunked(b"zz\r\nhello\r\n0\r\n\r\n"), {400, 413}),
        ("a negative size", chunked(b"-5\r\nhello\r\n0\r\n\r\n"), {400, 413}),
        ("a size beyond 64 bits", chunked(b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), {400, 413}),
    ])


def test_line_ends_and_control_bytes_are_refused(cache):
    walk(cache, [
        ("A11 LF in the request line", b"GET /v2/ HTTP/1.1\nHost: cache.test\r\n\r\n", {400}),
        ("A11 LF after a header", b"GET /v2/ HTTP/1.1\r\nHost: cache.test\nX: y\r\n\r\n", {400}),
        ("A12 CR inside a value", request(fields=[b"X: a\rb"]), {400}),
        ("A12 CR as separator", b"GET /v2/ HTTP/1.1\rHost: cache.test\r\r", {400, CLOSED}),
        ("A13 NUL in a value", request(fields=[b"X: a\0b"]), {400}),
        ("A13 control byte in a name", request(fields=[b"X\x01: y"]), {400}),
        ("A13 control byte in the target", request(b"GET /v2/\x07 HTTP/1.1"), {400}),
        ("A13 NUL in the target", request(b"GET /v2/\0 HTTP/1.1"), {400}),
        ("A15 an empty header name", request(fields=[b": x"]), {400}),
        ("A16 a separator in a name", request(fields=[b"X(y): z"]), {400}),
        ("A16 a name that is not ASCII", request(fields=["Ä: z".encode()]), {400}),
        ("a folded header", request(fields=[b"X: a", b" b"]), {400}),
        ("a header without a colon", request(fields=[b"nonsense"]), {400}),
    ])
    assert status_of(cache.raw(request(fields=[b"x_y: z", b"Connection: close"]))) == 200, "A16: an underscore is accepted and ignored"


def test_host_is_there_once_and_is_a_host(cache):
    walk(cache, [
        ("A17 none", request(host=None), {400}),
        ("A17 two", request(fields=[b"Host: other.test"]), {400}),
        ("A17 with a user", request(host=b"Host: user@cache.test"), {400}),
        ("A17 with a slash", request(host=b"Host: cache.test/x"), {400}),
        ("A17 with a space", request(host=b"Host: cache test"), {400}),
        ("A17 longer than 255 bytes", request(host=b"Host: " + b"a" * 256), {400}),
    ])


def test_request_lines_that_are_none(cache):
    walk(cache, [
        ("A20 an encoded CRLF in a name", request(b"GET /v2/a%0d%0aX:y/manifests/1 HTTP/1.1", [b"Connection: close"]), {400, 404}),
        ("A20 an encoded CRLF in the query", request(b"GET /v2/?ns=a%0d%0aX:y HTTP/1.1", [b"Connection: close"]), {200, 400, 404}),
        ("A21 HTTP/1.2", request(b"GET /v2/ HTTP/1.2"), {400, 505}),
        ("A21 HTTP/2.0", request(b"GET /v2/ HTTP/2.0"), {400, 505}),
        ("A21 HTTP/1.10", request(b"GET /v2/ HTTP/1.10"), {400, 505}),
        ("A21 http/1.1", request(b"GET /v2/ http/1.1"), {400, 505}),
        ("A21 no version", b"GET /v2/\r\n\r\n", {400}),
        ("A22 the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 405, 501, 505, CLOSED}),
        ("A26 a space in the method", request(b"GE T /v2/ HTTP/1.1"), {400}),
        ("A26 a method of odd bytes", request(b'G=":<>" /v2/ HTTP/1.1'), {400}),
        ("A26 a method of 1 MB", b"A" * (1 << 20) + b" /v2/ HTTP/1.1\r\nHost: a\r\n\r\n", {400, 414, 431, 501, CLOSED}),
        ("a target that is no path", request(b"GET v2/ HTTP/1.1", [b"Connection: close"]), {400}),
        ("two spaces", request(b"GET  /v2/ HTTP/1.1"), {400}),
    ])
    with Rows() as rows:
        for method in (b"get", b"BREW", b"TRACE", b"CONNECT", b"OPTIONS"):
            answer = cache.raw(request(method + b" /v2/ HTTP/1.1", [b"Connection: close"]))
            rows.check(status_of(answer) in (400, 405, 501), f"A26 {method}", answer[:120])
            rows.check(status_of(answer) != 405 or b"\r\nallow:" in answer.lower(), f"A26 {method}: Allow", answer)


def test_heads_beyond_their_bounds(cache):
    walk(cache, [
        ("A30 a head of 32 KiB and more", request(fields=[b"X%d: %s" % (n, b"x" * 3000) for n in range(12)]), {431, CLOSED}),
        ("A30 a header beyond 16 KiB", request(fields=[b"X: " + b"x" * (16 << 10)]), {431, CLOSED}),
        ("A31 101 headers", request(fields=[b"X%d: y" % n for n in range(101)]), {431, CLOSED}),
        ("A31 10,000 tiny headers", request(fields=[b"a:"] * 10000), {431, CLOSED}),
        ("A32 a target beyond 8 KiB", request(b"GET /v2/" + b"a" * 8200 + b" HTTP/1.1"), {414, 431, CLOSED}),
        ("A33 empty lines without end", b"\r\n" * 5000, {400, CLOSED}),
        ("A33 spaces without end", b" " * 100_000, {400, 431, CLOSED}),
    ])
    assert status_of(cache.raw(b"\r\n\r\n" + GOOD)) in (200, 400), "one or two empty lines before a request are tolerable"


def test_pushes_are_refused_at_once_and_their_bodies_not_awaited(cache, upstream):
    with Rows() as rows:
        for method in (b"PUT", b"POST", b"PATCH", b"DELETE"):
            for path in (b"/v2/upstream.test/lab/app/blobs/uploads/", b"/v2/upstream.test/lab/app/manifests/1"):
                started = time.monotonic()
                answer = cache.raw(request(method + b" " + path + b" HTTP/1.1", [b"Content-Length: 1000000000"]))
                rows.check(status_of(answer) == 405 and b"UNSUPPORTED" in answer, f"A27 {method} {path}", answer[:200])
                rows.check(time.monotonic() - started < 3, f"A27 {method}, time", time.monotonic() - started)
    assert not upstream.seen()


def test_headers_that_try_to_change_the_request_are_ignored(cache, upstream):
    blob = upstream.offers()
    for field in ({"X-HTTP-Method-Override": "DELETE"}, {"X-Original-URL": "/metrics"}, {"X-Rewrite-URL": "/metrics"},
                  {"X-Forwarded-Host": "evil.test"}, {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings, close", "HTTP2-Settings": "AAMAAABkAAQAAP__"},
                  {"Upgrade": "websocket", "Connection": "Upgrade, close"}):
        reply = cache.get(blob, field)
        assert reply.status == 200 and reply.digest() == blob.digest, (field, reply)


def test_expectations(cache, upstream):
    blob = upstream.offers()
    assert cache.get(blob, {"Expect": "100-continue"}).status == 200, "A24: nothing to continue in a GET without a body"
    assert cache.get(blob, {"Expect": "the-impossible"}).status == 417


def test_a_hundred_requests_in_one_segment_are_answered_in_order(cache, upstream):
    blobs = [upstream.offers("3KiB") for _ in range(5)]
    for blob in blobs:
        cache.get(blob)
    with cache.connect() as connection:
        wanted = [blobs[number % 5] for number in range(100)]
        connection.send(b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % cache.path_of(blob).encode() for blob in wanted))
        for blob in wanted:
            assert connection.reply().digest() == blob.digest


def test_pipelined_misses_and_errors_keep_their_order(cache, upstream):
    blobs = [upstream.offers("200KiB") for _ in range(4)]
    missing = digest_of(b"not there")
    paths = []
    for blob in blobs:
        paths += [cache.path_of(blob), cache.path_of(f"/v2/lab/app/blobs/{missing}"), "/v2/"]
    with cache.connect() as connection:
        connection.send(b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode() for path in paths))
        for blob in blobs:
            assert connection.reply().digest() == blob.digest
            assert connection.reply().status == 404
            assert connection.reply().status == 200


def test_a_request_in_segments_of_one_byte(cache, upstream):
    blob = upstream.offers()
    with cache.connect() as connection:
        for byte in b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % cache.path_of(blob).encode():
            connection.send(bytes([byte]))
        assert connection.reply().digest() == blob.digest


def test_a_client_that_half_closes_still_gets_its_answer(cache, upstream):
    blob = upstream.offers("300KiB")
    answer = cache.raw(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % cache.path_of(blob).encode(), half_close=True)
    assert answer.split(b"\r\n\r\n", 1)[1] == blob.data


def test_resets_in_the_middle_of_big_bodies_give_everything_back(cache, upstream):
    blob = upstream.offers("24MiB")
    assert cache.get(blob).digest() == blob.digest
    for _ in range(100):
        connection = cache.connect(receive_buffer=8 << 10)
        connection.ask("GET", cache.path_of(blob))
        try:
            connection.reply_head()
        except Broken:
            pass
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    assert cache.get(blob).digest() == blob.digest


def test_http_1_0_is_answered_and_closed(cache, upstream):
    blob = upstream.offers("100KiB")
    answer = cache.raw(b"GET %s HTTP/1.0\r\nHost: a\r\n\r\n" % cache.path_of(blob).encode())
    assert status_of(answer) == 200 and answer.split(b"\r\n\r\n", 1)[1] == blob.data
    assert b"transfer-encoding" not in answer.split(b"\r\n\r\n", 1)[0].lower()


def test_a_body_on_a_get_is_skipped_or_refused_but_never_taken_for_a_request(cache):
    smuggled = b"GET /v2/smuggled/manifests/1 HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = cache.raw(request(fields=[b"Content-Length: %d" % len(smuggled)], body=smuggled + GOOD))
    assert answer.count(b"HTTP/1.1 404") == 0 and status_of(answer) in (200, 400, 413), answer

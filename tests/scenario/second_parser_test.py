"""A second parser is asked about every request: what we take, it must take too. Two servers in a row that disagree are what request smuggling is made of."""
import random
import socket

from harness.story import skip

try:
    import h11
except ImportError:
    h11 = None

# Answers that say "I could not, or would not, read this"; any other means that the request was taken.
REFUSALS = {400, 408, 411, 413, 414, 417, 431, 501, 505}
BASES = [
    b"GET /v2/ HTTP/1.1\r\nHost: cache.test\r\nUser-Agent: docker/20.10.24 go/go1.19.8\r\nAccept-Encoding: gzip\r\n\r\n",
    b"HEAD /v2/library/alpine/manifests/latest?ns=docker.io HTTP/1.1\r\nHost: cache.test:5000\r\nAccept: application/vnd.oci.image.index.v1+json, */*\r\n\r\n",
    b"GET /v2/a/b/blobs/sha256:" + b"0" * 64 + b" HTTP/1.1\r\nHost: [::1]:5000\r\nRange: bytes=10-\r\nIf-None-Match: \"x\", W/\"y\"\r\nConnection: close\r\n\r\n",
    b"GET /v2/_catalog?n=2&last=a%2Fb HTTP/1.0\r\nHost: cache.test\r\nAuthorization: Basic dXNlcjpwYXNz\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\nHost: cache.test\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: z\r\n\r\n",
    b"GET /v2/ HTTP/1.1\r\nHost: cache.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    b"DELETE /v2/a/manifests/latest HTTP/1.1\r\nHost: cache.test\r\nX_y: z\r\n\r\n",
]
BYTES = [bytes([value]) for value in b"\0\t\n\v\r !\"#%&()*+,-./09:;<=>?@AZ[\\]^_az{|}~\x7f\x80\xc3\xff"] + [b"\r\n", b"\n\n", b"%0d%0a", b": ", b" HTTP/1.1"]
LINES = [b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 5, 5", b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding : chunked",
         b"Host: other.test", b"Host:", b" folded", b"Connection: keep-alive, close", b"Upgrade: h2c", b": empty", b"\xc3\x84: z", b"X: \x01", b"Content-Length: +5"]
INPUTS = 10_000


def mutated(draw):
    data = draw.choice(BASES)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        at = draw.randrange(len(data) + 1)
        kind = draw.randrange(5)
        if kind == 0:
            data = data[:at] + draw.choice(BYTES) + data[at:]
        elif kind == 1:
            data = data[:at] + draw.choice(BYTES) + data[at + 1:]
        elif kind == 2:
            data = data[:at] + data[at + draw.randrange(1, 4):]
        elif kind == 3:
            lines = data.split(b"\r\n")
            lines.insert(draw.randrange(len(lines)), draw.choice(LINES))
            data = b"\r\n".join(lines)
        else:
            lines = data.split(b"\r\n")
            lines.insert(draw.randrange(len(lines)), draw.choice(lines))
            data = b"\r\n".join(lines)
    return data


def our_status(cache, data):
    """Of the first answer; 0 when there is none."""
    with socket.create_connection(("127.0.0.1", cache.port), timeout=10) as connection:
        answer = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionError:
            pass  # we refused early and the rest met a closed port
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


def h11_takes(data, body=True):
    while data.startswith(b"\r\n"):
        data = data[2:]  # RFC 9112 section 2.2 lets a server pass over them; h11 does not
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    try:
        event = connection.next_event()
        taken = isinstance(event, h11.Request)
        while body and event not in (h11.NEED_DATA, h11.PAUSED) and not isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
            event = connection.next_event()
        return taken
    except h11.RemoteProtocolError:
        return False


def test_what_we_take_a_second_parser_takes_too(cache):
    if not h11:
        skip("python3-h11 is not installed")
    draw = random.Random(11)
    taken, refused, apart = 0, 0, []
    for data in BASES + [mutated(draw) for _ in range(INPUTS)]:
        status = our_status(cache, data)
        if status == 0 or status in REFUSALS:
            refused += 1
            continue
        taken += 1
        if not h11_takes(data, body=status != 405):  # a method that is not ours: the body is left unread and the connection ends
            apart.append(f"{status} {data!r}")
    assert not apart, f"{len(apart)} requests are taken by us alone:\n" + "\n".join(apart[:20])
    assert all(h11_takes(base) for base in BASES)
    assert taken > INPUTS // 5 and refused > INPUTS // 5, (taken, refused)  # else it compares nothing

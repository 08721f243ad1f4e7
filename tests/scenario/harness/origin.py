"""An HTTP/1.1 origin whose every byte is scripted. One thread per connection; made for tests, loopback only."""
import dataclasses
import os
import random
import select
import socket
import struct
import threading
import time

PORTS = range(12000, 32000)     # below the ephemeral range: no outgoing connection takes a port that is free for a moment
ANY = random.SystemRandom()     # scenarios are forked: a seeded generator would give all of them the same ports
HEAD_BYTES_MAX = 64 << 10
SLICE_BYTES = 64 << 10


@dataclasses.dataclass
class Request:
    method: str
    target: str
    headers: list           # (name in lower case, value), in order of arrival
    body: bytes
    at: float
    peer: tuple

    @property
    def path(self):
        return self.target.split("?", 1)[0]

    @property
    def query(self):
        return self.target.split("?", 1)[1] if "?" in self.target else ""

    def header(self, name, default=None):
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else default


@dataclasses.dataclass
class Answer:
    """One scripted answer. Positions count bytes of the body as sent in this answer."""
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes | None = None           # None: what the origin would have sent by itself
    raw: bytes | None = None            # these bytes instead of any HTTP, then the connection closes
    content_length: int | None = None   # a length other than the body's
    chunked: bool = False               # no Content-Length; one chunk for each slice
    unframed: bool = False              # neither: the end of the connection is the end of the body
    delay: float = 0                    # seconds before the first byte
    hold_after: int | None = None       # waits for `gate` when this many bytes are out
    gate: threading.Event | None = None
    rate: float | None = None           # bytes per second
    cut_after: int | None = None        # closes when this many bytes are out
    reset: bool = False                 # ... with RST instead of FIN
    corrupt_at: int | None = None       # flips one bit of this byte; negative counts from the end
    drop: bool = False                  # closes without a byte
    hang: bool = False                  # never answers


def free_port():
    for _ in range(200):
        port = ANY.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port on loopback")


class Origin:
    """Subclasses say in `respond` what a request deserves; returning None means 404."""

    def __init__(self, tls=None, address="127.0.0.1", host=None):
        self.tls = tls
        self.address = address
        self.host = host or address     # how others call it
        self.requests_seen = []
        self.connections_seen = 0
        self.lock = threading.Condition()
        self.listener = None
        self.port = None
        self.open = set()
        self.closing = False

    # ---- life

    def start(self):
        """Listens; a second start takes the same port again, as a registry that comes back does."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = self.port or free_port()
        listener.bind((self.address, self.port))
        listener.listen(1024)
        self.listener = listener
        self.closing = False
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def stop(self):
        """From now on connections are refused; those that stand are reset."""
        self.closing = True
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        self.drop_connections()

    def drop_connections(self):
        with self.lock:
            standing = list(self.open)
        for connection in standing:
            reset(connection)

    @property
    def scheme(self):
        return "https" if self.tls else "http"

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.port}"

    # ---- what was seen

    def seen(self, predicate=lambda request: True):
        with self.lock:
            return [request for request in self.requests_seen if predicate(request)]

    def until(self, condition, timeout=10, what="the expected requests"):
        """Waits for a condition on what was seen; every arrival looks again."""
        end = time.monotonic() + timeout
        with self.lock:
            while not condition():
                left = end - time.monotonic()
                assert left > 0, f"waited {timeout} s in vain for {what}; seen: {[f'{r.method} {r.target}' for r in self.requests_seen[-20:]]}"
                self.lock.wait(left)
        return self

    # ---- connections

    def respond(self, request):
        raise NotImplementedError

    def _accept(self, listener):
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections_seen += 1
            threading.Thread(target=self._serve, args=(connection, peer), daemon=True).start()

    def _serve(self, connection, peer):
        connection.settimeout(120)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with self.lock:
                self.open.add(connection)
            self._serve_requests(connection, peer)
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.open.discard(connection)
            connection.close()

    def _serve_requests(self, connection, peer):
        pending = b""
        while not self.closing:
            request, pending = read_request(connection, pending, peer)
            if request is None:
                return
            with self.lock:
                self.requests_seen.append(request)
                self.lock.notify_all()
            answer = self.respond(request) or Answer(404, body=b"")
            if not self._send(connection, request, answer):
                return

    def _send(self, connection, request, answer):
        """Returns whether the connection may carry another request."""
        if answer.delay:
            time.sleep(answer.delay)
        if answer.drop:
            if answer.reset:
                reset(connection)
            return False
        if answer.hang:
            select.select([connection], [], [], 120)
            return False
        if answer.raw is not None:
            connection.sendall(answer.raw)
            linger(connection)
            return False
        connection.sendall(head_of(request, answer))
        if request.method == "HEAD" or answer.status in (204, 304):
            return True
        return self._send_body(connection, answer)

    def _send_body(self, connection, answer):
        body = answer.body or b""
        if answer.corrupt_at is not None and body:
            damaged = bytearray(body)
            damaged[answer.corrupt_at] ^= 1
            body = bytes(damaged)
        started = time.monotonic()
        sent = 0
        while sent < len(body):
            if answer.hold_after is not None and sent >= answer.hold_after and answer.gate is not None:
                answer.gate.wait(120)
                answer.hold_after = None
            if answer.cut_after is not None and sent >= answer.cut_after:
                break
            piece = body[sent:sent + next_slice(answer, sent)]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if answer.chunked else piece)
            sent += len(piece)
            if answer.rate:
                time.sleep(max(0.0, started + sent / answer.rate - time.monotonic()))
        if answer.cut_after is not None and sent >= answer.cut_after:
            if answer.reset:
                reset(connection)
            return False
        if answer.chunked:
            connection.sendall(b"0\r\n\r\n")
        if answer.unframed or (answer.content_length is not None and answer.content_length != len(body)):
            return False
        return True


def next_slice(answer, sent):
    """How many bytes may go out now without stepping over a scripted position."""
    size = SLICE_BYTES if not answer.rate else max(512, min(SLICE_BYTES, int(answer.rate / 50)))
    for position in (answer.hold_after, answer.cut_after):
        if position is not None and sent < position:
            size = min(size, position - sent)
    return size


def head_of(request, answer):
    lines = [f"HTTP/1.1 {answer.status} {'OK' if answer.status < 300 else 'Answer'}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if answer.chunked:
        lines.append("Transfer-Encoding: chunked")
    elif answer.unframed:
        lines.append("Connection: close")
    elif "Content-Length" not in answer.headers and answer.status not in (204, 304):
        length = answer.content_length if answer.content_length is not None else len(answer.body or b"")
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def read_request(connection, pending, peer):
    while b"\r\n\r\n" not in pending:
        if len(pending) > HEAD_BYTES_MAX:
            raise ValueError("request head too long")
        piece = connection.recv(SLICE_BYTES)
        if not piece:
            return None, b""
        pending += piece
    head, rest = pending.split(b"\r\n\r\n", 1)
    first, *fields = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    length = int(dict(headers).get("content-length", 0))
    while len(rest) < length:
        piece = connection.recv(SLICE_BYTES)
        if not piece:
            return None, b""
        rest += piece
    return Request(method, target, headers, rest[:length], time.monotonic(), peer), rest[length:]


def linger(connection):
    """Lets the peer read what was sent before the close: unread input would turn our FIN into a RST."""
    try:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(2)
        while connection.recv(SLICE_BYTES):
            pass
    except OSError:
        pass


def reset(connection):
    """Ends it with RST, also under a thread that reads it. Its number stays taken until that thread closes it: OpenSSL, told to read the next record, would else read the first five
    bytes of whatever socket this process opens next."""
    dead, other = socket.socketpair()
    other.close()
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.socket.shutdown(connection, socket.SHUT_RD)
        os.dup2(dead.fileno(), connection.fileno(), inheritable=False)
    except (OSError, ValueError):
        pass
    finally:
        dead.close()


class Trap(Origin):
    """A place no credential may ever reach. It answers like an obliging token server and remembers who brought what."""

    def __init__(self, answer=None, **origin):
        super().__init__(**origin)
        self.answer = answer or Answer(200, {"Content-Type": "application/json"}, body=b'{"token":"stolen","access_token":"stolen"}')

    def respond(self, request):
        return dataclasses.replace(self.answer)

    def secrets(self):
        return [f"{r.method} {r.target}" for r in self.seen() if r.header("authorization") or r.header("cookie") or b"password" in r.body]

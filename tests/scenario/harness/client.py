"""A client that sees every byte: what was promised in the head, what came, and whether the body was complete."""
import dataclasses
import hashlib
import json
import socket
import threading
import time

PIECE_BYTES = 64 << 10
KEPT_BYTES_MAX = 8 << 20        # bodies up to this size are kept whole; longer ones only hashed


class Broken(Exception):
    """The connection ended before a whole head had come."""


@dataclasses.dataclass
class Reply:
    status: int
    reason: str
    headers: list
    body: bytes = dataclasses.field(default=b"", repr=False)
    received: int = 0
    complete: bool = False      # everything the head promised came
    sha256: object = dataclasses.field(default=None, repr=False)
    head_s: float = 0           # seconds until the head was there, until the first body byte, until the end
    first_byte_s: float = 0
    total_s: float = 0

    def header(self, name, default=None):
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else default

    @property
    def length(self):
        text = self.header("content-length")
        return int(text) if text is not None else None

    @property
    def cache(self):
        return self.header("x-entrepot-cache")

    @property
    def error_code(self):
        """The code of an OCI error body; None when the body is none."""
        try:
            return json.loads(self.body)["errors"][0]["code"]
        except (ValueError, KeyError, IndexError, TypeError):
            return None

    def digest(self, algorithm="sha256"):
        """Of a complete body; an incomplete one has none, so it equals nothing."""
        if not self.complete:
            return None
        if algorithm == "sha256":
            return f"sha256:{self.sha256.hexdigest()}"
        assert len(self.body) == self.received, "the body was too long to keep"
        return f"{algorithm}:{hashlib.new(algorithm, self.body).hexdigest()}"


class Connection:
    """One connection, for as many exchanges as both sides like."""

    def __init__(self, address, tls=None, server_name=None, receive_buffer=None, timeout=20, source=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        self.pending = b""
        self.host = f"{address[0]}:{address[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def ask(self, method, path, headers=(), body=b""):
        """Sends a request; header values that are lists become several lines."""
        lines = [f"{method} {path} HTTP/1.1"]
        given = dict(headers)
        if "Host" not in given:
            lines.append(f"Host: {self.host}")
        for name, value in given.items():
            lines += [f"{name}: {one}" for one in (value if isinstance(value, list) else [value])]
        return self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)

    def exchange(self, method, path, headers=(), **reading):
        self.ask(method, path, headers)
        return self.reply(method, **reading)

    def reply(self, method="GET", **reading):
        """Reads one reply. Never raises for a body that ends early: the reply is then not complete."""
        reply = self.reply_head()
        self.reply_body(reply, method, **reading)
        return reply

    def reply_head(self):
        started = time.monotonic()
        while b"\r\n\r\n" not in self.pending:
            self._more()
        head, self.pending = self.pending.split(b"\r\n\r\n", 1)
        first, *fields = head.decode("latin-1").split("\r\n")
        version, status, *reason = first.split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0"), f"not an HTTP reply: {first!r}"
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
        return Reply(int(status), " ".join(reason), headers, head_s=time.monotonic() - started)

    def reply_body(self, reply, method="GET", progress=None, rate=None, stop_after=None):
        started = time.monotonic()
        reply.sha256 = hashlib.sha256()
        if method == "HEAD" or reply.status in (204, 304) or reply.status < 200:
            reply.complete = True
            return
        assert reply.header("transfer-encoding") is None or reply.length is None, "both Content-Length and Transfer-Encoding"
        if reply.header("transfer-encoding") == "chunked":
            pieces = self._chunks(reply)
        else:
            pieces = self._sized(reply)
        kept = []
        for piece in pieces:
            if not reply.received:
                reply.first_byte_s = time.monotonic() - started
            reply.received += len(piece)
            reply.sha256.update(piece)
            if reply.received <= KEPT_BYTES_MAX:
                kept.append(piece)
            if progress:
                progress(reply)
            if stop_after is not None and reply.received >= stop_after:
                break
            if rate:
                time.sleep(max(0.0, started + reply.received / rate - time.monotonic()))
        reply.body = b"".join(kept)
        reply.total_s = time.monotonic() - started

    def rest(self, timeout=5):
        """Everything until the server closes; fails when it does not."""
        self.socket.settimeout(timeout)
        data = self.pending
        self.pending = b""
        try:
            while piece := self.socket.recv(PIECE_BYTES):
                data += piece
        except ConnectionResetError:
            pass
        return data

    def closed_by_server(self, timeout=5):
        try:
            self.rest(timeout)
            return True
        except TimeoutError:
            return False

    def _more(self):
        try:
            piece = self.socket.recv(PIECE_BYTES)
        except ConnectionResetError as error:
            raise Broken(f"reset after {self.pending[:200]!r}") from error
        if not piece:
            raise Broken(f"closed after {self.pending[:200]!r}")
        self.pending += piece

    def _sized(self, reply):
        left = reply.length
        try:
            while left is None or left > 0:
                if not self.pending:
                    self._more()
                piece, self.pending = (self.pending, b"") if left is None else (self.pending[:left], self.pending[left:])
                left = None if left is None else left - len(piece)
                if left == 0:
                    reply.complete = True
                yield piece
            reply.complete = True
        except (Broken, OSError):
            reply.complete = False

    def _chunks(self, reply):
        try:
            while True:
                while b"\r\n" not in self.pending:
                    self._more()
                line, self.pending = self.pending.split(b"\r\n", 1)
                size = int(line.split(b";")[0], 16)
                while len(self.pending) < size + 2:
                    self._more()
                piece, self.pending = self.pending[:size], self.pending[size + 2:]
                if size == 0:
                    reply.complete = True
                    return
                yield piece
        except (Broken, OSError):
            reply.complete = False


class Pull:
    """A download in the background. Asking for its result waits for it."""

    def __init__(self, connect, path, headers=None, rate=None, leave_after=None):
        self.reply = None
        self.error = None
        self.received = 0
        self.started = time.monotonic()
        self.head_at = self.first_byte_at = None
        self.moved = threading.Condition()
        self.arguments = (connect, path, headers or {}, rate, leave_after)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        connect, path, headers, rate, leave_after = self.arguments
        try:
            with connect() as connection:
                connection.ask("GET", path, headers)
                reply = connection.reply_head()
                with self.moved:
                    self.reply, self.head_at = reply, time.monotonic()
                    self.moved.notify_all()
                connection.reply_body(reply, progress=self._progress, rate=rate, stop_after=leave_after)
        except (Broken, OSError) as error:
            self.error = error
        finally:
            with self.moved:
                self.moved.notify_all()

    def _progress(self, reply):
        with self.moved:
            self.first_byte_at = self.first_byte_at or time.monotonic()
            self.received = reply.received
            self.moved.notify_all()

    def until_received(self, size, timeout=10):
        end = time.monotonic() + timeout
        with self.moved:
            while self.received < size:
                left = end - time.monotonic()
                assert left > 0 and self.thread.is_alive(), f"only {self.received} of {size} bytes came; {self.error or self.reply and self.reply.status}"
                self.moved.wait(min(left, 0.2))
        return self

    def until_head(self, timeout=10):
        end = time.monotonic() + timeout
        with self.moved:
            while self.reply is None:
                assert time.monotonic() < end and self.error is None, f"no head came: {self.error}"
                self.moved.wait(0.2)
        return self.reply

    def wait(self, timeout=60):
        self.thread.join(timeout)
        assert not self.thread.is_alive(), f"the pull of {self.arguments[1]} does not end ({self.received} bytes so far)"
        return self

    @property
    def running(self):
        return self.thread.is_alive()

    @property
    def complete(self):
        self.wait()
        return self.error is None and self.reply.complete and self.reply.status in (200, 206)

    @property
    def status(self):
        self.wait()
        return self.reply.status if self.reply else None

    @property
    def first_byte_s(self):
        return self.first_byte_at - self.started

    def digest(self, algorithm="sha256"):
        self.wait()
        return self.reply.digest(algorithm) if self.error is None else None

#!/usr/bin/env python3
"""A registry whose answers go wrong: the last name of the repository says how. Loopback only; for the rows of faults.

    /v2/bench.test/FAULT/blobs/sha256:HEX      a blob of BODY_BYTES whose bytes follow from FAULT (body_of)
    /heal                                      from now on every answer is right

Usage: faulty_upstream.py PORT
"""
import hashlib
import http.server
import re
import socket
import struct
import sys

BODY_BYTES = 3_000_000
CUT = BODY_BYTES * 6 // 10
FAULTS = {
    "cut": "connection ends at 60 % of Content-Length",
    "cut-once": "the same, only the first time",
    "reset": "connection is reset at 60 %",
    "flipped": "one bit wrong in the middle",
    "flipped-end": "last byte wrong",
    "short-length": "Content-Length says 60 %, and 60 % come",
    "chunked-cut": "chunked, ends without the last chunk at 60 %",
    "chunked-short": "chunked, ends properly at 60 %",
    "close-cut": "no length, connection ends at 60 %",
    "other": "another blob of the same length",
}


def body_of(fault):
    return hashlib.shake_128(fault.encode()).digest(BODY_BYTES)


def digest_of(fault):
    return "sha256:" + hashlib.sha256(body_of(fault)).hexdigest()


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies = {fault: body_of(fault) for fault in FAULTS}
    digests = {fault: digest_of(fault) for fault in FAULTS}
    healed, already = False, set()

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, with_body):
        if self.path == "/heal":
            type(self).healed = True
        if self.path in ("/heal", "/v2/", "/v2"):
            return self.send(200, b"{}", True, {"Content-Type": "application/json"})
        match = re.fullmatch(r"/v2/(?:.+/)?([a-z-]+)/blobs/(sha256:[0-9a-f]{64})", self.path.split("?")[0])
        if not match or self.digests.get(match[1]) != match[2]:
            return self.send(404, b"{}", with_body, {"Content-Type": "application/json"})
        fault = match[1]
        wrong = with_body and not self.healed and not (fault == "cut-once" and fault in self.already)
        if with_body:
            self.already.add(fault)
        self.blob(fault, with_body, wrong)

    def send(self, status, body, with_body, fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def blob(self, fault, with_body, wrong):
        body = self.bodies[fault]
        fields = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": self.digests[fault], "Accept-Ranges": "bytes",
                  "ETag": f'"{self.digests[fault]}"'}
        first, last = self.range_of(len(body))
        part = body[first:last + 1]
        if (first, last) != (0, len(body) - 1):
            fields["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
        status = 206 if "Content-Range" in fields else 200
        if not wrong:
            return self.send(status, part, with_body, fields)
        # A part (a slice, a resumption) goes wrong in the same way where the same byte is in it.
        cut = max(0, CUT - first)
        if fault in ("cut", "cut-once", "reset") and cut < len(part):
            return self.broken(status, part, cut, fields, fault == "reset")
        if fault == "flipped":
            part = damaged(part, len(body) // 2 - first)
        elif fault == "flipped-end":
            part = damaged(part, len(body) - 1 - first)
        elif fault == "other":
            part = bytes(255 - byte for byte in part)
        elif fault == "short-length" and cut < len(part):
            part = part[:cut]
        elif fault in ("chunked-cut", "chunked-short", "close-cut"):
            return self.unframed(status, part[:cut] if cut < len(part) else part, fields, fault)
        self.send(status, part, with_body, fields)

    def range_of(self, size):
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not match:
            return 0, size - 1
        return min(int(match[1]), size - 1), min(int(match[2]) if match[2] else size - 1, size - 1)

    def broken(self, status, part, cut, fields, reset):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part[:cut])
        self.wfile.flush()
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def unframed(self, status, part, fields, fault):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        chunked = fault != "close-cut"
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Connection", "close")))
        self.end_headers()
        for at in range(0, len(part), 100_000):
            piece = part[at:at + 100_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if fault == "chunked-short":
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True


def damaged(part, at):
    if not 0 <= at < len(part):
        return part
    return part[:at] + bytes([part[at] ^ 1]) + part[at + 1:]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # a client that leaves is no error of ours


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    Server(("127.0.0.1", int(sys.argv[1])), Registry).serve_forever()

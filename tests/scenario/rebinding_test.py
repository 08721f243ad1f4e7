"""E14: a name that is public when it is checked and private when it is connected to. The connection goes to the address that was checked, and to no other.

Told in a network and a mount namespace of its own: a public address on its loopback, and a name server that answers as the story says."""
import ctypes
import os
import socket
import struct
import subprocess
import threading
import time

from harness.origin import Trap
from harness.story import Rows, skip

PUBLIC, PRIVATE = "9.9.9.9", "127.0.0.1"
NAME_SERVER = "127.0.0.53"
FRESH_S = 30            # how long the server believes an answer
CLONE_NEWNS, CLONE_NEWNET, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x40000000, 4096, 16384, 1 << 18


class NameServer:
    """Answers questions for A records by `answers`: name -> a list of answers, each a list of addresses, the last one for ever."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((NAME_SERVER, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            question, peer = self.socket.recvfrom(2048)
            self.socket.sendto(self._answer(question), peer)

    def _answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode().lower())
            at += 1 + question[at]
        name = ".".join(labels)
        is_a = question[at + 1:at + 3] == b"\x00\x01"
        queue = self.answers.get(name) if is_a else None
        addresses = [] if not queue else queue.pop(0) if len(queue) > 1 else queue[0]
        if is_a:
            self.asked.append((name, addresses))
        head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, len(addresses), 0, 0)
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(address) for address in addresses)
        return head + question[12:at + 5] + records


def in_a_world_of_its_own(directory):
    """This process, its threads and the server that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET | CLONE_NEWNS) or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None):
        skip(f"no namespaces here: {os.strerror(ctypes.get_errno())}")
    for command in (["ip", "link", "set", "lo", "up"], ["ip", "addr", "add", f"{PUBLIC}/32", "dev", "lo"]):
        subprocess.run(command, check=True)
    for name, text in (("resolv.conf", f"nameserver {NAME_SERVER}\noptions timeout:1 attempts:1\n"), ("nsswitch.conf", "hosts: files dns\n")):
        path = f"{directory}/{name}"
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        if os.path.exists(f"/etc/{name}") and libc.mount(path.encode(), f"/etc/{name}".encode(), None, MS_BIND, None):
            skip(f"cannot mount over /etc/{name}: {os.strerror(ctypes.get_errno())}")


def test_a_name_that_turns_private_is_never_connected_to(directory, make_cache, make_upstream):
    in_a_world_of_its_own(directory)
    upstreams = [make_upstream(f"{name}.test", address=PUBLIC, host=f"{name}.test") for name in ("turning", "both", "restless", "inside")]
    names = NameServer({"turning.test": [[PUBLIC], [PRIVATE]], "both.test": [[PUBLIC, PRIVATE]], "inside.test": [[PRIVATE], [PUBLIC]],
                        "restless.test": [[PUBLIC], [PRIVATE]] * 50})
    traps = []
    for upstream in upstreams:
        trap = Trap(address=PRIVATE)
        trap.port = upstream.port           # where a server that looks the name up once more would arrive
        traps.append(trap.start())
    cache = make_cache(*upstreams, shards=1, upstream={"allow_private": False})
    turning, both, restless, inside = upstreams

    def pull(upstream):
        blob = upstream.offers("4KiB")
        return cache.get(cache.path_of(blob.path, upstream.login_server), timeout=60).digest() == blob.digest

    with Rows() as rows:
        rows.check(pull(turning), "public at first", cache.log()[-300:])
        turning.drop_connections()
        rows.check(pull(turning), "a new connection while the checked address is believed", names.asked)
        rows.check(not pull(inside), "private at first", names.asked)
        rows.check(pull(both), "both in one answer: the public one serves", names.asked)
        both.stop()
        rows.check(not pull(both), "both in one answer: the private one is no second choice", names.asked)
        checked = time.monotonic()
        for _ in range(5):
            restless.drop_connections()
            rows.check(pull(restless), "answers that alternate: the checked one is used", names.asked)
        time.sleep(max(0, checked + FRESH_S + 1 - time.monotonic()))
        for upstream in (turning, restless):
            upstream.drop_connections()
            before = len(names.asked)
            blob = upstream.offers("4KiB")
            reply = cache.get(cache.path_of(blob.path, upstream.login_server), timeout=60)
            rows.check(reply.status in (403, 502) and b"private address" in reply.body, f"{upstream.login_server} looked up again: refused", reply.body)
            rows.check(len(names.asked) == before + 1, f"{upstream.login_server} was looked up again, once", names.asked[before:])
        for upstream, trap in zip(upstreams, traps):
            rows.check(trap.connections_seen == 0, f"{upstream.login_server}: connections to the private address", trap.connections_seen)
    for trap in traps:
        trap.stop()


test_a_name_that_turns_private_is_never_connected_to.limit_s = 150

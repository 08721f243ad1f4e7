"""Connections that asked once and stay."""
import time

import machine
from bench import MANIFEST_HEADERS
from result import Bound, Figure
from rows import row
from rows.hot import EVERYBODY, hot_manifest

WANTED = (10_000, 9_500, 5_000, 1_000)  # the first that a server takes counts


@row("idle", "Idle connections")
def idle(bench):
    """10,000 connections that asked once and stay; fewer where a server does not take as many (9,500, 5,000, 1,000). Memory is
    what the server's processes and the kernel's sockets grew by, for each connection."""
    manifest = hot_manifest(bench)

    def measure(name):
        for connections in WANTED[3:] if bench.quick else WANTED:
            if seen := held_by(bench, name, manifest, connections):
                return seen
        raise RuntimeError(f"does not hold {WANTED[-1]} connections")
    seen = bench.interleave("idle", [name for name in bench.among(*EVERYBODY) if name != "nginx-slice"], measure, min(bench.repetitions, 3))
    return [
        Figure("idle", "connections held", "", seen.of("held"), "more", [Bound(">= 10,000", above=10_000)]),
        Figure("idle", "memory of the server for each", "bytes", seen.of("own"), "less", [Bound("<= 4,096", below=4096)], ceiling="sendfile"),
        Figure("idle", "memory of sockets for each", "bytes", seen.of("sockets")),
    ]


def held_by(bench, name, manifest, connections):
    """None when it does not take as many. A fresh server each time: memory that was used once is not given back."""
    with bench.warm([name], [("manifests", manifest)]) as servers:
        if name not in servers:
            raise RuntimeError("did not start")
        server = servers[name]
        url = server.url("manifests", manifest)
        bench.load.loop([url], 64, 0.5, headers=MANIFEST_HEADERS)  # what a working server has anyway
        before = machine.resident_bytes(server.pids), machine.socket_bytes()
        held = bench.load.hold(url, connections, MANIFEST_HEADERS)
        if not held:
            return None
        time.sleep(0.5)
        own, sockets = machine.resident_bytes(server.pids) - before[0], machine.socket_bytes() - before[1]
        held.finish()
        return {"held": connections, "own": max(0, own) / connections, "sockets": max(0, sockets) / connections}

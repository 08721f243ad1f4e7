"""Clients that read slowly, and what they cost those that do not."""
import os
import select
import subprocess
import sys
import time

import machine
from bench import MANIFEST_HEADERS, MB
from result import Bound, Figure
from rows import row
from rows.coalescing import CACHES
from rows.hot import hot_manifest

COUNT, RATE = 200, 100_000
FIRST_BYTES_TIMEOUT_S = 30


@row("slow-readers", "Slow readers")
def slow_readers(bench):
    """200 clients read a cold blob of 200 MB at 100 KB/s each; when all have their first bytes, a fast client asks for the same
    blob, and a probe for a hot manifest of 2 KiB. Memory: what the server's processes and the kernel's sockets grew by, for
    each slow reader. A slow reader that comes first must not slow the fill down for the others."""
    size = 50 * MB if bench.quick else 200 * MB
    blob, manifest = bench.corpus.blob(f"coalesce-{size // MB}", size), hot_manifest(bench)

    def measure(name):
        bench.corpus.touch([blob])
        with bench.upstream() as upstream, bench.start(name, upstream) as server:
            bench.warm_up(server, [("manifests", manifest)])
            before = machine.resident_bytes(server.pids), machine.socket_bytes()
            start = time.monotonic()
            clients = start_clients(server.url("blobs", blob))
            try:
                bench.load.once([server.url("blobs", blob)], deadline_s=30)
                fast = time.monotonic() - start
                grown = machine.resident_bytes(server.pids) - before[0], machine.socket_bytes() - before[1]
                probe = bench.load.probe(server.url("manifests", manifest), headers=MANIFEST_HEADERS)
                time.sleep(1.5)
                probed = probe.finish()
            finally:
                clients.communicate(timeout=20)
            return {"fast": fast, "own": max(0, grown[0]) / COUNT / 1024, "sockets": max(0, grown[1]) / COUNT / 1024, "p99": probed["latency_s"]["p99"] * 1e3}
    seen = bench.interleave("slow-readers", bench.among(*CACHES), measure)
    return [
        Figure("slow-readers", "a fast client has it, from when the slow ones asked", "s", seen.of("fast"), "less", [Bound("<= Varnish", below=1, against="varnish")]),
        Figure("slow-readers", "hot p99 beside them", "ms", seen.of("p99"), "less"),
        Figure("slow-readers", "memory of the server for each", "KiB", seen.of("own"), "less", note="Varnish keeps the blob itself in this memory."),
        Figure("slow-readers", "memory of sockets for each", "KiB", seen.of("sockets"), "less"),
    ]


def start_clients(url):
    script = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "slow_clients.py")
    clients = subprocess.Popen([sys.executable, "-B", script, url, str(COUNT), str(RATE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               preexec_fn=machine.on_cpu(machine.CLIENT_CPU))
    ready, _, _ = select.select([clients.stdout], [], [], FIRST_BYTES_TIMEOUT_S)
    if not ready or "reading" not in clients.stdout.readline():
        clients.kill()
        clients.communicate()
        raise RuntimeError("not every slow reader got its first bytes")
    return clients

"""Starting again with many blobs."""
import os
import subprocess

import machine
from bench import Readings
from result import Bound, Figure
from rows import row


@row("start", "Start with many blobs")
def start(bench):
    """From the start of the process to the first answer on the registry port, with 100,000 and 1,000,000 blobs in the ledger
    (made by bench/ledger_fill): after a restart, and after a reboot (page cache empty). The peers answer at once because they
    look at no index before: what they do not find they fetch again. So there is no peer to compare with here; an empty store is
    the yardstick."""
    generator = os.path.join(bench.tools, "ledger_fill")
    if not bench.among("entrepot") or not os.path.exists(generator):
        return []
    counts = (1000, 10_000) if bench.quick else (100_000, 1_000_000)
    seen = {key: Readings() for key in ("empty", *counts)}
    with bench.upstream() as upstream:
        for _ in bench.repeat("start, empty"):
            seen["empty"].repetitions += 1
            with bench.start("entrepot", upstream) as server:
                seen["empty"].put("entrepot", warm=server.ready_after_s, memory=memory_of(server))
        for count in counts:
            measure_with(bench, upstream, generator, count, seen[count])
    figures = []
    for count in counts:
        limit = [Bound("<= 1", below=1.0)]
        empty = {"empty": seen["empty"].of("warm")["entrepot"]}
        figures += [
            Figure("start", f"{count:,} blobs, restart", "s", seen[count].of("warm") | empty, "less", limit, ceiling="empty"),
            Figure("start", f"{count:,} blobs, page cache empty", "s", seen[count].of("cold") | empty, "less", limit, ceiling="empty"),
            Figure("start", f"{count:,} blobs, memory of the process", "MiB", seen[count].of("memory") | {"empty": seen["empty"].of("memory")["entrepot"]},
                   "less"),
        ]
    return figures


def measure_with(bench, upstream, generator, count, seen):
    room = f"{count * 11 // 1024 + 1}GiB"  # ledger_fill's blobs are of 10 MiB; nothing shall be evicted
    with bench.start("entrepot", upstream, capacity=room) as server:
        store = server.store
    subprocess.run([generator, store, str(count)], check=True, timeout=900, stdout=subprocess.DEVNULL)
    for _ in bench.repeat(f"start, {count:,} blobs"):
        seen.repetitions += 1
        machine.drop_page_cache()
        cold, _ = started(bench, upstream, room, count)
        warm, memory = started(bench, upstream, room, count)
        seen.put("entrepot", cold=cold, warm=warm, memory=memory)


def started(bench, upstream, room, count):
    with bench.start("entrepot", upstream, keep=True, capacity=room) as server:
        stored = server.metric("entrepot_store_blobs")
        if stored < count:
            raise RuntimeError(f"the ledger shows {stored:.0f} blobs of {count}")
        return server.ready_after_s, memory_of(server)


def memory_of(server):
    return machine.resident_bytes(server.pids) / 2**20

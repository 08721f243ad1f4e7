"""Cold reads from disk, beside a hot request that should not feel them."""
import time

import ceilings
from bench import MANIFEST_HEADERS, MB, Readings
from peers.entrepot import worst_stall
from result import Bound, Figure
from rows import row
from rows.hot import hot_manifest

COUNT, SIZE = 64, 48 * MB
DEPTH, BLOCK = 32, 256 << 10  # entrepot's transfer buffers of a shard; fio gets the same
AGAIN = "entrepot-again"


@row("cold-reads", "Cold reads beside a hot request")
def cold_reads(bench):
    """64 clients read 64 blobs of 48 MB while nothing of them is in memory; beside them 2,000 requests a second for a hot
    manifest of 2 KiB, each counted from the moment it was due. entrepot has just been started, so that it remembers as little;
    "again" is a second pass at once: it knows that these blobs are wanted again, only the page cache is cold. The ceiling is fio with O_DIRECT at the same depth (32 of 256 KiB)."""
    blobs = [bench.corpus.blob(f"cold-read-{index}", SIZE) for index in range(8 if bench.quick else COUNT)]
    manifest = hot_manifest(bench)
    names = bench.among("entrepot", "nginx", "nginx-threads", "nginx-lock", "trafficserver", "registry")
    content = [("blobs", blob) for blob in blobs] + [("manifests", manifest)]
    with bench.warm(names, content) as servers:
        contestants = [contestant for name in servers for contestant in ((name, AGAIN) if name == "entrepot" else (name,))]

        def measure(name):
            if name == "entrepot":
                servers[name] = servers[name].again()
            return pass_of(bench, servers["entrepot" if name == AGAIN else name], blobs, manifest)
        seen = Readings()
        for turn in bench.repeat("cold-reads"):
            seen.repetitions += 1
            for name in contestants:  # not rotated: the second pass follows the first
                one = bench.interleave_one(name, measure)
                if one:
                    seen.put(name, **one)
            seen.put("fio", rate=bench.ceiling("fio", ceilings.fio_read, [bench.corpus.path(blob) for blob in blobs], BLOCK, DEPTH))
    growth = {name: [loaded / quiet if loaded and quiet else None for loaded, quiet in zip(seen.of("loaded")[name], seen.of("quiet")[name])]
              for name in seen.of("loaded")}
    limits = [Bound(f"<= 1/5 of nginx aio threads{label}", below=0.2, against="nginx-threads", of=of) for of, label in (("entrepot", ""), (AGAIN, ", again"))]
    return [
        Figure("cold-reads", "cold bytes", "GB/s", seen.of("rate"), "more", ceiling="fio",
               bounds=[Bound(f">= 0.9 x fio{label}", above=0.9, against="fio", of=of) for of, label in (("entrepot", ""), (AGAIN, ", again"))]),
        Figure("cold-reads", "hot p99 beside it", "ms", seen.of("loaded"), "less", limits),
        Figure("cold-reads", "hot p99 with nothing beside it", "ms", seen.of("quiet"), "less"),
        Figure("cold-reads", "growth of the hot p99", "x", growth, "less"),
        Figure("cold-reads", "server CPU", "s/GB", seen.of("cpu"), "less"),
        Figure("cold-reads", "worst loop stall (bound of its bucket)", "ms", seen.of("stall")),
    ]


def pass_of(bench, server, blobs, manifest):
    hot = server.url("manifests", manifest)
    bench.forget(server.home)
    bench.load.once([hot], headers=MANIFEST_HEADERS)  # hot again
    quiet = bench.load.probe(hot, headers=MANIFEST_HEADERS)
    time.sleep(1.5)
    quiet = quiet.finish()
    stalls = server.stalls() if server.name == "entrepot" else None
    probe = bench.load.probe(hot, headers=MANIFEST_HEADERS)
    try:
        got = bench.load.once([server.url("blobs", blob) for blob in blobs], servers=[server])
    finally:
        probed = probe.finish()
    gigabytes = got["body_bytes"] / 1e9
    seen = {"quiet": quiet["latency_s"]["p99"] * 1e3, "loaded": probed["latency_s"]["p99"] * 1e3, "rate": gigabytes / got["last_done_s"],
            "cpu": got["server_cpu_s"] / gigabytes}
    worst = worst_stall(stalls, server.stalls()) if stalls is not None else None
    return seen | ({"stall": worst * 1e3} if worst is not None else {})

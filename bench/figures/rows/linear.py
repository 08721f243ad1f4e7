"""Whether cost grows with what is there: connections, blobs."""
import os
import subprocess

from bench import GIB, MANIFEST_HEADERS, MIB, Readings
from result import Bound, Figure
from rows import row
from rows.hot import hot_manifest

FEW, MANY = 100, 9_500  # a process may have 20,000 descriptors here, of which entrepot gives clients a little less than half


@row("many-connections", "10,000 connections beside 100")
def many_connections(bench):
    """Requests for a hot manifest of 2 KiB, and for a hot blob of 1 MiB, on 100 and on 9,500 busy connections (what 20,000
    descriptors allow). The figure is the cost on many over the cost on few, in the same repetition. The client never sleeps:
    waking one on the same machine is billed to the server, and happens more often the longer an answer takes."""
    manifest, blob = hot_manifest(bench), bench.corpus.blob("linear", MIB)
    many = 1000 if bench.quick else MANY
    names = bench.among("entrepot", "nginx", "varnish", "trafficserver", "sendfile")
    with bench.warm(names, [("manifests", manifest), ("blobs", blob)]) as servers:
        def measure(name):
            server, seen = servers[name], {}
            load = bench.fresh_load(GIB)  # sockets and what is queued in them
            for kind, reference in (("manifests", manifest), ("blobs", blob)):
                if name == "sendfile":
                    server.offer(kind, reference, bench.corpus.path(reference))  # it has one file at a time
                for label, connections in (("few", FEW), ("many", many)):
                    got = load.loop([server.url(kind, reference)], connections, 2, servers=[server], headers=MANIFEST_HEADERS, warmup=3, sleeps=False)
                    seen[kind, label] = got["server_cpu_us_per_request"] if kind == "manifests" else got["server_cpu_s"] / (got["body_bytes"] / 1e9)
            cost = {"request": "manifests", "byte": "blobs"}
            return {f"{what}_{label}": seen[kind, label] for what, kind in cost.items() for label in ("few", "many")} | \
                {what: seen[kind, "many"] / seen[kind, "few"] for what, kind in cost.items()}
        seen = bench.interleave("many-connections", list(servers), measure)
    limit = [Bound("<= 1.3", below=1.3)]
    return [
        Figure("many-connections", f"CPU per request, {many:,} / {FEW} connections", "x", seen.of("request"), "less", limit, ceiling="sendfile"),
        Figure("many-connections", f"CPU per GB, {many:,} / {FEW} connections", "x", seen.of("byte"), "less", limit, ceiling="sendfile"),
        Figure("many-connections", f"CPU per request at {many:,}", "us", seen.of("request_many"), "less", ceiling="sendfile"),
        Figure("many-connections", f"CPU per request at {FEW}", "us", seen.of("request_few"), "less", ceiling="sendfile"),
        Figure("many-connections", f"CPU per GB at {many:,}", "s/GB", seen.of("byte_many"), "less", ceiling="sendfile"),
        Figure("many-connections", f"CPU per GB at {FEW}", "s/GB", seen.of("byte_few"), "less", ceiling="sendfile"),
    ]


@row("many-blobs", "1,000,000 blobs beside 1,000")
def many_blobs(bench):
    """Two stores of entrepot: one with 1,000 blobs, one with the same and the records of 1,000,000 more. 64 connections ask for
    the 1,000 in turn, a connection for each request, so that every request looks up another blob: small ones of 4 KiB, and
    large ones of 1 MiB (100 of them)."""
    generator = os.path.join(bench.tools, "ledger_fill")
    if not bench.among("entrepot") or not os.path.exists(generator):
        return []
    others = 10_000 if bench.quick else 1_000_000
    small = [bench.corpus.blob(f"many-{index}", 4096) for index in range(1000)]
    large = [bench.corpus.blob(f"many-large-{index}", MIB) for index in range(100)]
    seen = Readings()
    with bench.upstream() as upstream:
        # The others are records without files, which a scrub would find missing and take out, thousands in a minute.
        options = {"capacity": f"{others * 11 // 1024 + 50}GiB", "scrub": "never"}
        with bench.start("entrepot", upstream, place="entrepot-many", **options) as server:
            store = server.store
        subprocess.run([generator, store, str(others)], check=True, timeout=900, stdout=subprocess.DEVNULL)
        with bench.start("entrepot", upstream, place="entrepot-few", **options) as few, \
                bench.start("entrepot", upstream, place="entrepot-many", keep=True, **options) as many:
            for server in (few, many):
                for blobs in (small, large):
                    bench.load.once([server.url("blobs", blob) for blob in blobs], verify=len(blobs))
            few.settled(len(small) + len(large))
            many.settled(len(small) + len(large) + others)
            for _ in bench.repeat("many-blobs"):
                seen.repetitions += 1
                cost = {(label, kind): cost_of(bench, server, blobs) for label, server in (("few", few), ("many", many))
                        for kind, blobs in (("small", small), ("large", large))}
                seen.put("entrepot", request=cost["many", "small"] / cost["few", "small"], byte=cost["many", "large"] / cost["few", "large"],
                         request_us=cost["many", "small"])
    limit = [Bound("<= 1.1", below=1.1)]
    return [Figure("many-blobs", f"CPU per request, {others:,} more / 1,000 blobs", "x", seen.of("request"), "less", limit),
            Figure("many-blobs", f"CPU per GB, {others:,} more / 1,000 blobs", "x", seen.of("byte"), "less", limit),
            Figure("many-blobs", f"CPU per request with {others:,} more", "us", seen.of("request_us"), "less")]


def cost_of(bench, server, blobs):
    got = bench.load.loop([server.url("blobs", blob) for blob in blobs], 64, 1 if bench.quick else 2, False, [server])
    return got["server_cpu_us_per_request"]

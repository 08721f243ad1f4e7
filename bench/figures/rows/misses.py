"""How fast what nobody has comes through: an unlimited upstream, digests, the disk."""
import time
import urllib.request

import ceilings
import machine
from bench import GIB, MB, MIB
from result import Bound, Figure
from rows import row
from rows.coalescing import CACHES


@row("miss-large", "A large miss")
def miss_large(bench):
    """One client, one cold blob of 1 GiB from an upstream without a limit on the other core. Only entrepot checks the digest of what it
    passes on; docker-registry checks that of a second download, which it stores. entrepot's bytes are durable when it says so, and
    that time is a line of its own. Ceilings: SHA-256 of OpenSSL on the server's core, and fio's O_DIRECT writes."""
    size = 256 * MIB if bench.quick else GIB
    return missed(bench, "miss-large", [bench.corpus.blob("miss", size)], size)


@row("miss-many", "Many misses at once")
def miss_many(bench):
    """32 clients, 32 cold blobs of 32 MB, otherwise as before."""
    count = 8 if bench.quick else 32
    return missed(bench, "miss-many", [bench.corpus.blob(f"miss-{index}", 32 * MB) for index in range(count)], count * 32 * MB)


def missed(bench, name_of_row, blobs, size):
    gigabytes = size / 1e9

    def measure(name):
        with bench.upstream() as upstream, bench.start(name, upstream) as server:
            bench.corpus.touch(blobs)
            before = [upstream.gets_of(blob) for blob in blobs]
            load = bench.fresh_load(size)
            start, kernel = time.monotonic(), machine.kernel_thread_seconds()
            got = load.once([server.url("blobs", blob) for blob in blobs], servers=[server])
            seen = {"rate": gigabytes / got["last_done_s"]}
            if name == "entrepot":
                server.settled(len(blobs))
                seen["durable"] = gigabytes / (time.monotonic() - start)
            seen["kernel"] = (machine.kernel_thread_seconds() - kernel) / gigabytes
            seen["cpu"] = got["server_cpu_s"] / gigabytes
            bench.load.once([server.url("blobs", blob) for blob in blobs])  # who kept it does not ask again
            seen["gets"] = sum(upstream.gets_of(blob) for blob in blobs) / len(blobs) - sum(before) / len(blobs)
            return seen
    seen = bench.interleave(name_of_row, bench.among(*CACHES), measure)
    repetitions = seen.repetitions
    sha = bench.ceiling("openssl", ceilings.openssl_speed, "sha256", 65536)
    disk = bench.ceiling("fio", ceilings.fio_write, bench.work, min(size, GIB), 256 << 10, 16)
    return [
        Figure(name_of_row, "upstream GETs a blob, after each client asked twice", "", seen.of("gets"), "less", [Bound("1", below=1, above=1)]),
        Figure(name_of_row, "until the client has it", "GB/s", seen.of("rate") | {"openssl": [sha] * repetitions}, "more", ceiling="openssl",
               bounds=[Bound(">= 1 x docker-registry", above=1, against="registry")],
               note="Only entrepot checks the digest before the last byte leaves. The ceiling is SHA-256 alone: one core that also moves the bytes cannot reach it."),
        Figure(name_of_row, "until it is durable", "GB/s", seen.of("durable") | {"fio": [disk] * repetitions}, "more", ceiling="fio"),
        Figure(name_of_row, "server CPU", "s/GB", seen.of("cpu") | {"openssl": [1 / sha if sha else None] * repetitions}, "less", ceiling="openssl",
               bounds=[Bound("<= 1 x docker-registry", below=1, against="registry")]),
        Figure(name_of_row, "CPU of kernel threads meanwhile", "s/GB", seen.of("kernel"), "less",
               note="Write-back and deferred softirqs, of the whole machine: nobody is billed for these by its own clock."),
    ]


@row("fill", "Fills that nobody waits for")
def fill(bench):
    """Eight cold blobs of 128 MB at once, and one of 1 GiB alone, from an upstream without a limit on the other core, into entrepot's one. Each
    client leaves with its first byte, so what is left is receiving, the digest and the disk, until all of it is durable. The others stop
    a download that nobody waits for, or are not done with it when they say so. Ceilings: SHA-256 of OpenSSL, and fio's O_DIRECT writes."""
    large = 128 * MIB if bench.quick else GIB
    few = [bench.corpus.blob(f"fill-{index}", large // 8) for index in range(8)]
    one = [bench.corpus.blob("miss", large)]
    sha = bench.ceiling("openssl", ceilings.openssl_speed, "sha256", 65536)
    disk = bench.ceiling("fio", ceilings.fio_write, bench.work, large, 256 << 10, 16)
    figures = []
    for what, blobs in ((f"8 blobs of {large // 8 // MIB} MiB", few), (f"one blob of {large // MIB} MiB", one)):
        seen = bench.interleave("fill", bench.among("entrepot"), lambda name, blobs=blobs: filled(bench, name, blobs, large / 1e9))
        repetitions = seen.repetitions
        figures += [
            Figure("fill", f"{what}, until durable", "GB/s", seen.of("rate") | {"fio": [disk] * repetitions}, "more", [Bound(">= 1 GB/s", above=1)], ceiling="fio"),
            Figure("fill", f"{what}, server CPU", "s/GB", seen.of("cpu") | {"openssl": [1 / sha if sha else None] * repetitions}, "less", ceiling="openssl")]
    return figures


def filled(bench, name, blobs, gigabytes):
    with bench.upstream() as upstream, bench.start(name, upstream) as server:
        bench.corpus.touch(blobs)
        bench.fresh_load(int(gigabytes * 1e9))
        start, used = time.monotonic(), machine.cpu_seconds(server.pids)
        for blob in blobs:
            with urllib.request.urlopen(server.url("blobs", blob), timeout=30) as answer:
                answer.read(1)
        server.settled(len(blobs))
        return {"rate": gigabytes / (time.monotonic() - start), "cpu": (machine.cpu_seconds(server.pids) - used) / gigabytes}

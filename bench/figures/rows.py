"""The figures, one function each. Every function interleaves its contestants within each repetition and returns Figures."""
import http.client
import os
import re
import signal
import statistics
import subprocess
import tempfile
import threading
import time

import machine
from result import Figure
from servers import Entrepot, Nginx, Upstream, Varnish, worst_stall

MB, MIB, GIB = 10**6, 2**20, 2**30

# What docker sends for a manifest (docker 20.10 and later, fields as observed on the wire).
MANIFEST_HEADERS = ["User-Agent: docker/20.10.24 go/go1.19.8 kernel/6.1.0 os/linux arch/amd64",
                    "Accept: application/vnd.docker.distribution.manifest.v2+json", "Accept: application/vnd.docker.distribution.manifest.list.v2+json",
                    "Accept: application/vnd.oci.image.index.v1+json", "Accept: application/vnd.oci.image.manifest.v1+json",
                    "Accept: application/json", "Accept-Encoding: gzip"]


def header_words(headers):
    return [word for header in headers for word in ("--header", header)]


class Bench:
    """What the rows share: tools, corpus, places, how often, and whether entrepot is there at all."""

    def __init__(self, tools, entrepot, work, corpus, herd, repetitions, quick, say):
        self.tools, self.entrepot_binary, self.work, self.corpus, self.herd = tools, entrepot, work, corpus, herd
        self.repetitions, self.quick, self.say = repetitions, quick, say
        self.other_load = []

    def upstream(self, rate=0, **distance):
        return Upstream(self.tools, self.corpus.root, rate, **distance)

    def nginx(self, upstream_port=None):
        return Nginx(os.path.join(self.work, "nginx"), upstream_port)

    def entrepot(self, upstream, **options):
        return Entrepot(self.entrepot_binary, os.path.join(self.work, "entrepot"), upstream.port, **options)

    def watched(self, alive, *words, **options):
        """One run of the herd while the processes `alive` run; also notes what the rest of the machine did meanwhile."""
        with machine.OtherLoad([pid for process in alive for pid in process.pids]) as others:
            result = self.herd(*words, **options)
        self.other_load.append(others.share)
        return result

    def repeat(self, what, times=None):
        for turn in range(times or self.repetitions):
            self.say(f"{what}: repetition {turn + 1} of {times or self.repetitions}")
            yield turn

    def fill(self, server, kind, references):
        """Pulls each once, all at the same time."""
        urls = [server.url(kind, reference) for reference in references]
        with tempfile.NamedTemporaryFile("w", dir=self.work, suffix=".urls") as file:
            file.write("\n".join(urls) + "\n")
            file.flush()
            return self.herd("--get", "--clients", len(urls), "--url-file", file.name)


# ---- a: many clients, one cold blob

def cold_herd(bench, clients, size, rate, first_byte_limit):
    row = f"cold {clients}"
    herd = ColdHerd(bench, clients, size, rate)
    for _ in bench.repeat(row):
        herd.once()
    ours, static = herd.seen["entrepot"], herd.seen["nginx static"]
    what = f"{clients} clients, {size // MB} MB at {rate // MB} MB/s"
    figures = [
        Figure(row, f"{what}: upstream GETs", "", ours["gets"], asked="1", below=1, above=1),
        Figure(row, "first body byte, median", "s", ours["first_byte"], asked=f"<= {first_byte_limit}", below=first_byte_limit),
        Figure(row, "last client done / one direct download", "x", ours["stretch"], asked="<= 1.05", below=1.05),
        Figure(row, "server CPU per delivered GB", "s", ours["cpu"], static["cpu"], "nginx static, hot", asked="<= 0.1", below=0.1),
    ]
    for peer in ("nginx proxy_cache+lock", "varnish"):
        seen = herd.seen[peer]
        if seen["gets"]:
            figures += [Figure(row, name, unit, ours[key], seen[key], peer) for key, name, unit in
                        (("gets", "upstream GETs", ""), ("first_byte", "first body byte, median", "s"), ("stretch", "last done / one direct download", "x"),
                         ("cpu", "server CPU per delivered GB", "s"))]
    return figures


class ColdHerd:
    """Everybody asks at once for one blob that nobody has but a slow upstream. Each contestant starts empty each time."""

    def __init__(self, bench, clients, size, rate):
        self.bench, self.clients, self.rate = bench, clients, rate
        self.blob = bench.corpus.blob(f"cold{clients}", size)
        self.gigabytes = clients * size / 1e9
        names = ("entrepot", "nginx static", "nginx proxy_cache+lock", "varnish")
        self.seen = {name: {key: [] for key in ("gets", "first_byte", "stretch", "cpu")} for name in names}

    def once(self):
        bench, blob = self.bench, self.blob
        with bench.upstream(self.rate) as upstream:
            self.single = bench.watched([upstream], "--get", upstream.url("blobs", blob))["last_done_s"]
            with bench.nginx() as nginx:
                nginx.offer("blobs", blob, bench.corpus.path(blob))
                bench.herd("--get", nginx.url("blobs", blob))
                self._measure("nginx static", upstream, nginx, nginx.url("blobs", blob))
            if not bench.quick:
                with bench.nginx(upstream.port) as nginx:
                    self._measure("nginx proxy_cache+lock", upstream, nginx, nginx.cached_url("blobs", blob))
                if Varnish.installed():
                    with Varnish(os.path.join(bench.work, "varnish"), upstream.port) as varnish:
                        self._measure("varnish", upstream, varnish, varnish.url("blobs", blob))
            if bench.entrepot_binary:
                with bench.entrepot(upstream) as entrepot:
                    self._measure("entrepot", upstream, entrepot, entrepot.url("blobs", blob))

    def _measure(self, name, upstream, server, url):
        before = upstream.gets_of(self.blob)
        got = self.bench.watched([server, upstream], "--get", "--clients", self.clients, "--verify", 1, url, servers=[server])
        seen = self.seen[name]
        seen["gets"].append(upstream.gets_of(self.blob) - before)
        seen["first_byte"].append(got["first_byte_s"]["p50"])
        seen["stretch"].append(got["last_done_s"] / self.single)
        seen["cpu"].append(got["server_cpu_s"] / self.gigabytes)


def cold_50(bench):
    return cold_herd(bench, 50, 200 * MB, 50 * MB, 0.03)


def cold_1000(bench):
    return cold_herd(bench, 1000, 20 * MB, 5 * MB, 0.1)


def cold_distinct(bench):
    """Many clients, each with a cold blob of its own, from an upstream that is slow on every connection: nobody may wait for a resource that
    somebody else's slow download holds."""
    count, size, rate = 200, 4 * MB, 2 * MB
    blobs = [bench.corpus.blob(f"distinct-{index}", size) for index in range(count)]
    stretch, first_byte, gets = [], [], []
    for _ in bench.repeat("cold distinct"):
        with bench.upstream(rate) as upstream:
            single = bench.watched([upstream], "--get", upstream.url("blobs", blobs[0]))["last_done_s"]
            if not bench.entrepot_binary:
                break
            before = upstream.stats()["total"]["gets"]
            with bench.entrepot(upstream) as entrepot:
                got = bench.fill(entrepot, "blobs", blobs)
            stretch.append(got["last_done_s"] / single)
            first_byte.append(got["first_byte_s"]["p50"])
            gets.append((upstream.stats()["total"]["gets"] - before) / count)
    return [
        Figure("cold distinct", f"{count} clients, {count} blobs of {size // MB} MB at {rate // MB} MB/s: upstream GETs per blob", "", gets, asked="1", below=1, above=1),
        Figure("cold distinct", "first body byte, median", "s", first_byte),
        Figure("cold distinct", "last client done / one direct download", "x", stretch, asked="<= 1.05", below=1.05),
    ]


# ---- b and c: hot blobs and manifests

def contestants(bench, nginx, entrepot):
    """Alternates who goes first, so that nobody always inherits the other's caches and clocks."""
    both = [server for server in (nginx, entrepot) if server]
    for turn in bench.repeat("hot"):
        for server in both if turn % 2 == 0 else reversed(both):
            yield server


class WarmPair:
    """nginx and, when built, entrepot, both holding the same content in the page cache."""

    def __init__(self, bench, content):
        self.bench, self.content = bench, content

    def __enter__(self):
        bench = self.bench
        self.upstream = bench.upstream()
        self.nginx = bench.nginx()
        self.entrepot = bench.entrepot(self.upstream) if bench.entrepot_binary else None
        for kind, reference in self.content:
            self.nginx.offer(kind, reference, bench.corpus.path(reference))
        for server in filter(None, (self.nginx, self.entrepot)):
            for kind, reference in self.content:
                for _ in range(3):
                    bench.herd("--get", server.url(kind, reference))
        if self.entrepot:
            self.entrepot.wait_stored(len(self.content))
        return self

    def __exit__(self, *_):
        for server in filter(None, (self.entrepot, self.nginx, self.upstream)):
            server.stop()


def hot_blob(bench):
    blob = bench.corpus.blob("hot", 256 * MIB)
    rate, cpu = {"nginx": [], "entrepot": []}, {"nginx": [], "entrepot": []}
    with WarmPair(bench, [("blobs", blob)]) as pair:
        for server in contestants(bench, pair.nginx, pair.entrepot):
            got = bench.watched([server], "--loop", "--connections", 8, "--duration", 1 if bench.quick else 3, server.url("blobs", blob), servers=[server])
            rate[server.name].append(got["gb_per_s"])
            cpu[server.name].append(got["server_cpu_s"] / (got["body_bytes"] / 1e9))
    return [
        Figure("hot blob", "256 MiB, 8 connections, one core", "GB/s", rate["entrepot"], rate["nginx"], asked=">= 0.95 x nginx", above=0.95, of_ratio=True),
        Figure("hot blob", "per core-second of the server", "GB", [1 / each for each in cpu["entrepot"]], [1 / each for each in cpu["nginx"]],
               asked=">= 0.95 x nginx", above=0.95, of_ratio=True),
        Figure("hot blob", "server CPU", "s/GB", cpu["entrepot"], cpu["nginx"]),
    ]


def hot_manifest(bench):
    layer = bench.corpus.blob("small-layer", 4096)
    manifest = bench.corpus.manifest("hot-manifest", 2048, [layer])
    cpu = {(name, keep): [] for name in ("nginx", "entrepot") for keep in (True, False)}
    rates = {key: [] for key in cpu}
    slowest = {key: [] for key in cpu}
    duration = 1 if bench.quick else 3
    with WarmPair(bench, [("manifests", manifest)]) as pair:
        for server in contestants(bench, pair.nginx, pair.entrepot):
            for keep in (True, False):
                words = [] if keep else ["--no-keepalive"]
                got = bench.watched([server], "--loop", "--connections", 64, "--duration", duration, *words, *header_words(MANIFEST_HEADERS),
                                    server.url("manifests", manifest), servers=[server])
                cpu[server.name, keep].append(got["server_cpu_us_per_request"])
                rates[server.name, keep].append(got["requests_per_s"])
                slowest[server.name, keep].append(got["latency_s"]["p99"] * 1e3)
    figures = []
    for keep, label, limit in ((True, "keep-alive", 0.75), (False, "new connection each", 0.9)):
        ours, peer = ("entrepot", keep), ("nginx", keep)
        figures += [
            Figure("hot manifest", f"2 KiB, 64 connections, {label}: server CPU per request", "us", cpu[ours], cpu[peer], asked=f"<= {limit} x nginx",
                   below=limit, of_ratio=True),
            Figure("hot manifest", f"{label}: requests a second", "1/s", rates[ours], rates[peer]),
            Figure("hot manifest", f"{label}: p99", "ms", slowest[ours], slowest[peer]),
        ]
    return figures


# ---- d: digests and fills

def sha256(bench):
    binary = os.path.join(bench.tools, "sha256_bench")
    if not os.path.exists(binary):
        return [Figure("sha-256", "streaming", "GB/s", [], note="bench/sha256_bench is not built")]
    ours, openssl = [], []
    for _ in bench.repeat("sha-256"):
        output = subprocess.run([binary, "262144", "21"], capture_output=True, text=True, timeout=120, preexec_fn=machine.on_cpu(machine.SERVER_CPU)).stdout
        rates = read_sha256_rates(output)
        if rates:
            ours.append(rates[0])
            openssl.append(rates[1])
    return [Figure("sha-256", "streaming, 256 KiB buffers", "GB/s", ours, openssl, "OpenSSL", asked=">= 0.95 x OpenSSL", above=0.95, of_ratio=True)]


def read_sha256_rates(output):
    """Median GB/s of our fastest engine and of OpenSSL, from the table that sha256_bench prints; None when either is missing."""
    rates = {}
    for line in output.splitlines():
        name = next((name for name in ("entrepot sha-ni", "entrepot mbedtls", "openssl evp") if line.startswith(name)), None)
        if name:
            rates[name] = float(line[len(name):].split()[0])
    openssl = rates.pop("openssl evp", None)
    return (max(rates.values()), openssl) if rates and openssl else None


def fill(bench):
    size = GIB if bench.quick else 2 * GIB
    blob = bench.corpus.blob("fill", size)
    per_core, wall_rate, cpu = [], [], []
    for _ in bench.repeat("fill"):
        if not bench.entrepot_binary:
            break
        with bench.upstream() as upstream, bench.entrepot(upstream) as entrepot:
            bench.herd("--get", upstream.url("blobs", blob))  # the upstream reads from memory
            start, before = time.monotonic(), machine.cpu_seconds(entrepot.pids)
            bench.watched([entrepot, upstream], "--get", entrepot.url("blobs", blob))
            entrepot.wait_stored(1)
            used, wall = machine.cpu_seconds(entrepot.pids) - before, time.monotonic() - start
            per_core.append(size / 1e9 / used)
            wall_rate.append(size / 1e9 / wall)
            cpu.append(used / (size / 1e9))
    return [
        Figure("fill", f"{size // GIB} GiB from a local upstream, digest and disk: per core", "GB/s", per_core, asked=">= 1", above=1.0),
        Figure("fill", "until it is stored durably, wall clock", "GB/s", wall_rate),
        Figure("fill", "server CPU", "s/GB", cpu),
    ]


# ---- e: cold reads beside a hot request

def cold_reads(bench):
    count, size = 64, 48 * MB
    blobs = [bench.corpus.blob(f"cold-read-{index}", size) for index in range(count)]
    layer = bench.corpus.blob("small-layer", 4096)
    manifest = bench.corpus.manifest("hot-manifest", 2048, [layer])
    names = ("nginx", "nginx aio threads", "entrepot", "entrepot again")
    seen = {name: {key: [] for key in ("quiet", "loaded", "rate", "stall")} for name in names}
    with bench.upstream() as upstream, bench.nginx() as nginx:
        for blob in blobs:
            nginx.offer("blobs", blob, bench.corpus.path(blob))
        nginx.offer("manifests", manifest, bench.corpus.path(manifest))
        entrepot = bench.entrepot(upstream) if bench.entrepot_binary else None
        try:
            if entrepot:
                bench.fill(entrepot, "blobs", blobs)
                bench.fill(entrepot, "manifests", [manifest])
                entrepot.wait_stored(count + 1)
            for _ in bench.repeat("cold reads"):
                _cold_reads_once(bench, nginx, nginx.url, blobs, manifest, seen["nginx"])
                _cold_reads_once(bench, nginx, nginx.threads_url, blobs, manifest, seen["nginx aio threads"])
                if entrepot:
                    for name in ("entrepot", "entrepot again"):
                        _cold_reads_once(bench, entrepot, entrepot.url, blobs, manifest, seen[name])
        finally:
            if entrepot:
                entrepot.stop()
    figures = []
    # The second pass at once: files are open and their sums known, so only the page cache is cold. A server may treat that differently.
    for name, label in (("entrepot", ""), ("entrepot again", "again at once: ")):
        ours = seen[name]
        growth, nginx_growth, threads_growth = (
            [loaded / quiet for loaded, quiet in zip(each["loaded"], each["quiet"])] for each in (ours, seen["nginx"], seen["nginx aio threads"]))
        # Where other programs hold the core for milliseconds, a quiet machine cannot be compared with.
        busy = bool(ours["quiet"]) and statistics.median(ours["quiet"]) > 1.0
        bounds = {"note": "not judged: the machine was too busy"} if busy else {"below": 2.0}
        figures += [Figure("cold reads", f"{label}hot 2 KiB p99, growth beside 64 cold readers", "x", growth, nginx_growth,
                           asked="<= 2 (machine too busy to judge)" if busy else "<= 2", **bounds),
                    Figure("cold reads", f"{label}the same", "x", growth, threads_growth, "nginx aio threads"),
                    Figure("cold reads", f"{label}hot 2 KiB p99, quiet", "ms", ours["quiet"], seen["nginx"]["quiet"]),
                    Figure("cold reads", f"{label}hot 2 KiB p99, loaded", "ms", ours["loaded"], seen["nginx"]["loaded"]),
                    Figure("cold reads", f"{label}cold bytes", "GB/s", ours["rate"], seen["nginx"]["rate"]),
                    Figure("cold reads", f"{label}worst loop stall (bucket bound)", "ms", ours["stall"], asked="<= 5", below=5.0)]
    return figures


def _cold_reads_once(bench, server, url, blobs, manifest, into):
    probe = ["--probe", "--rate", 2000, "--connections", 256, "--realtime", *header_words(MANIFEST_HEADERS), url("manifests", manifest)]
    machine.drop_page_cache()
    bench.herd("--get", url("manifests", manifest))  # hot again
    into["quiet"].append(bench.herd(*probe, "--duration", 2)["latency_s"]["p99"] * 1e3)
    stalls = server.stalls() if isinstance(server, Entrepot) else {}
    running = bench.herd.start(*probe, "--duration", 60)
    try:
        time.sleep(0.6)  # the probe's warm-up
        with tempfile.NamedTemporaryFile("w", dir=bench.work, suffix=".urls") as file:
            file.write("\n".join(url("blobs", blob) for blob in blobs) + "\n")
            file.flush()
            got = bench.watched([server], "--get", "--clients", len(blobs), "--url-file", file.name)
    finally:
        running.send_signal(signal.SIGINT)
        probed = bench.herd.finish(running)
    into["loaded"].append(probed["latency_s"]["p99"] * 1e3)
    into["rate"].append(got["body_bytes"] / 1e9 / got["last_done_s"])
    if isinstance(server, Entrepot):
        worst = worst_stall(stalls, server.stalls())
        if worst is not None:
            into["stall"].append(worst * 1e3)


# ---- f: many idle connections, many blobs

def idle(bench):
    """10,000 connections that asked once and stay; half of them where a server does not take as many, so that the memory of each is known anyway."""
    wanted = 1000 if bench.quick else 10_000
    layer = bench.corpus.blob("small-layer", 4096)
    manifest = bench.corpus.manifest("hot-manifest", 2048, [layer])
    bytes_each, held = {"nginx": [], "entrepot": []}, {"nginx": [], "entrepot": []}
    for _ in bench.repeat("idle"):
        for name in bytes_each:
            for connections in (wanted, wanted // 2):
                with WarmPair(bench, [("manifests", manifest)]) as pair:  # anew: memory that was used once is not given back
                    server = getattr(pair, name)
                    memory = _idle_bytes(bench, server, server.url("manifests", manifest), connections) if server else None
                if memory is not None:
                    bytes_each[name].append(memory)
                    held[name].append(connections)
                    break
    return [Figure("idle", "connections held", "", held["entrepot"], held["nginx"], asked=f">= {wanted:,}", above=wanted),
            Figure("idle", "resident memory of each", "bytes", bytes_each["entrepot"], bytes_each["nginx"], asked="<= 4096", below=4096)]


def _idle_bytes(bench, server, url, connections):
    """None when the server does not take or keep so many."""
    bench.herd("--loop", "--connections", 64, "--duration", 0.5, url)  # what a working server has anyway
    before = sum(machine.resident_bytes(pid) for pid in server.pids)
    herd = bench.herd.start("--hold", "--connections", connections, "--duration", 60, "--deadline", 20, url, stdin=subprocess.PIPE)
    first = herd.stdout.readline()
    if '"state":"held"' not in first:
        herd.wait(timeout=30)
        return None
    time.sleep(0.5)
    after = sum(machine.resident_bytes(pid) for pid in server.pids)
    result = bench.herd.finish(herd)
    return None if result["failed"] else max(0, after - before) / connections


def start(bench):
    """Start with 1,000,000 blobs in the ledger, which bench/ledger_fill makes: as after a restart, and as after a reboot (page cache empty)."""
    count = 10_000 if bench.quick else 1_000_000
    generator = os.path.join(bench.tools, "ledger_fill")
    empty, warm, cold = [], [], []
    if bench.entrepot_binary and os.path.exists(generator):
        with bench.upstream() as upstream:
            room = f"{count * 11 // 1024 + 1}GiB"  # ledger_fill's blobs are of 10 MiB; nothing shall be evicted
            for _ in bench.repeat("start, empty"):
                with bench.entrepot(upstream, capacity=room) as entrepot:
                    empty.append(entrepot.ready_after_s)
            subprocess.run([generator, entrepot.store, str(count)], check=True, timeout=900, stdout=subprocess.DEVNULL)
            for _ in bench.repeat("start, full"):
                machine.drop_page_cache()
                cold.append(_started(bench, upstream, room, count))
                warm.append(_started(bench, upstream, room, count))
    what = f"first /v2/ answer with {count:,} blobs in the ledger"
    note = "" if warm else "needs bench/ledger_fill"
    return [Figure("start", f"{what}, restart", "s", warm, empty, "empty store", asked="<= 1", below=1.0, note=note),
            Figure("start", f"{what}, page cache empty", "s", cold, empty, "empty store", asked="<= 1", below=1.0, note=note)]


def _started(bench, upstream, room, count):
    with bench.entrepot(upstream, keep=True, capacity=room) as entrepot:
        stored = entrepot.metric("entrepot_store_blobs")
        if stored < count:
            raise RuntimeError(f"the ledger shows {stored:.0f} blobs of {count}")
        return entrepot.ready_after_s


# ---- g: a whole image, cold

def image(bench):
    """One client pulls an image from an upstream 50 ms away, as docker does: manifest, config, then three layers at a time."""
    layers, manifest, config = image_of(bench, "image", 4 * MB)
    times = {"direct": [], "entrepot": [], "hot": []}
    for _ in bench.repeat("image"):
        with bench.upstream(rate=50 * MB, delay_ms=50) as upstream:
            times["direct"].append(pull_image(upstream, manifest, config, layers))
            if bench.entrepot_binary:
                with bench.entrepot(upstream) as entrepot:
                    times["entrepot"].append(pull_image(entrepot, manifest, config, layers))
                    times["hot"].append(pull_image(entrepot, manifest, config, layers))
    return [
        Figure("image", "10 layers of 4 MB, upstream at 50 ms and 50 MB/s: cold pull", "s", times["entrepot"], times["direct"], "direct"),
        Figure("image", "the same, hot", "s", times["hot"], times["direct"], "direct"),
    ]


def image_of(bench, name, layer_bytes, count=10):
    layers = [bench.corpus.blob(f"{name}-layer-{index}", layer_bytes) for index in range(count)]
    manifest = bench.corpus.manifest(name, 2600, layers)
    return layers, manifest, bench.corpus.blob(f"{name}-config", 1500)


def prefetch(bench):
    """What fetching ahead of the client could win and would cost (docs/decisions/0005). A client that asks for everything at once sees
    what a prefetch of all layers could give those who ask for three or six at a time; one that holds eight of ten layers from elsewhere
    shows whether anything is fetched that nobody asked for."""
    layers, manifest, config = image_of(bench, "prefetch", 12 * MB)
    kinds = {"20 MB/s a connection": {"rate": 20 * MB}, "60 MB/s for all together": {"line_rate": 60 * MB}}
    figures = []
    for kind, limits in kinds.items():
        times = {(who, at_once): [] for who in ("direct", "entrepot") for at_once in (3, 6, 10)}
        for _ in bench.repeat(f"prefetch, {kind}"):
            for at_once in (3, 6, 10):
                with bench.upstream(delay_ms=50, connect_delay_ms=50, **limits) as upstream:
                    times["direct", at_once].append(pull_image(upstream, manifest, config, layers, at_once))
                    if bench.entrepot_binary:
                        with bench.entrepot(upstream) as entrepot:
                            times["entrepot", at_once].append(pull_image(entrepot, manifest, config, layers, at_once))
        figures += [Figure("prefetch", f"10 layers of 12 MB, 50 ms, {kind}, {at_once} at a time: cold pull", "s", times["entrepot", at_once],
                           times["direct", at_once], "direct") for at_once in (3, 6, 10)]
    return figures + [asked_for_only(bench, layers, manifest, config)]


def asked_for_only(bench, layers, manifest, config):
    per_get = []
    for _ in bench.repeat("prefetch, two new layers"):
        if not bench.entrepot_binary:
            break
        with bench.upstream(delay_ms=50) as upstream, bench.entrepot(upstream) as entrepot:
            pull_image(entrepot, manifest, config, layers[-2:])
            time.sleep(0.3)  # what is fetched unasked has reached the upstream by then
            per_get.append(upstream.stats()["total"]["gets"] / 4)
    return Figure("prefetch", "the client holds 8 of 10 layers: upstream GETs per GET of the client", "", per_get, asked="1", below=1, above=1)


def pull_image(server, manifest, config, layers, at_once=3):
    start = time.monotonic()
    fetch(server.url("manifests", manifest))
    fetch(server.url("blobs", config))
    waiting, errors = list(layers), []

    def worker():
        while waiting and not errors:
            try:
                fetch(server.url("blobs", waiting.pop(0)))
            except (OSError, IndexError, RuntimeError) as error:
                if not isinstance(error, IndexError):
                    errors.append(error)
    threads = [threading.Thread(target=worker) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return time.monotonic() - start


def fetch(url):
    host, path = re.fullmatch(r"http://([^/]+)(/.*)", url).groups()
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("GET", path, headers={"Connection": "close"})
    answer = connection.getresponse()
    expected, got, buffer = int(answer.headers["Content-Length"]), 0, bytearray(256 << 10)
    while count := answer.readinto(buffer):
        got += count
    connection.close()
    if answer.status != 200 or got != expected:
        raise RuntimeError(f"{url}: status {answer.status}, {got} of {expected} bytes")


ROWS = {"cold-50": cold_50, "cold-1000": cold_1000, "cold-distinct": cold_distinct, "hot-blob": hot_blob, "hot-manifest": hot_manifest, "sha256": sha256, "fill": fill,
        "cold-reads": cold_reads, "idle": idle, "start": start, "image": image, "prefetch": prefetch}

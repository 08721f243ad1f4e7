"""Hot content: large blobs, small manifests on kept connections, small manifests with a connection each."""
from bench import MANIFEST_HEADERS, MIB
from result import Bound, Figure
from rows import row

EVERYBODY = ("entrepot", "nginx", "nginx-lock", "nginx-slice", "varnish", "trafficserver", "squid", "registry", "sendfile")
DOCKER_BOUND = Bound("<= 1/200 of docker-registry", below=1 / 200, against="registry")


@row("hot-large", "Hot large blobs")
def hot_large(bench):
    """One blob of 256 MiB in the page cache, 8 connections, one core for the server. The ceiling is a program that only calls
    sendfile."""
    blob = bench.corpus.blob("hot", 256 * MIB)
    with bench.warm(bench.among(*EVERYBODY), [("blobs", blob)]) as servers:
        def measure(name):
            server = servers[name]
            got = bench.load.loop([server.url("blobs", blob)], 8, 1 if bench.quick else 2, servers=[server])
            return {"rate": got["gb_per_s"], "cpu": got["server_cpu_s"] / (got["body_bytes"] / 1e9), "client": got["client_cpu_s"] / got["wall_s"]}
        seen = bench.interleave("hot-large", list(servers), measure)
    return [
        Figure("hot-large", "throughput", "GB/s", seen.of("rate"), "more", ceiling="sendfile",
               bounds=[Bound(">= 1 x nginx", above=1, against="nginx"), Bound(">= 6 x docker-registry", above=6, against="registry")]),
        Figure("hot-large", "server CPU", "s/GB", seen.of("cpu"), "less", ceiling="sendfile", bounds=[Bound("<= 1 x nginx", below=1, against="nginx")]),
        Figure("hot-large", "load of the client's core", "share", seen.of("client")),
    ]


@row("hot-small", "Hot small manifests, kept connections")
def hot_small(bench):
    """A manifest of 2 KiB by digest, 64 connections that stay, requests with docker's fields (about 500 bytes)."""
    return small(bench, "hot-small", True, [Bound("<= 0.72 x nginx", below=0.72, against="nginx"), DOCKER_BOUND])


@row("hot-connect", "Hot small manifests, a connection each")
def hot_connect(bench):
    """The same with `Connection: close`, as docker asks."""
    return small(bench, "hot-connect", False, [Bound("<= 0.9 x nginx", below=0.9, against="nginx")])


@row("hot-small-blob", "Hot small blobs, kept connections")
def hot_small_blob(bench):
    """A blob of 2 KiB, an image's config for example, 64 connections that stay."""
    blob = bench.corpus.blob("hot-small", 2048)
    return small(bench, "hot-small-blob", True, [Bound("<= 0.72 x nginx", below=0.72, against="nginx"), DOCKER_BOUND], ("blobs", blob))


def small(bench, name_of_row, keepalive, bounds, content=None):
    kind, reference = content or ("manifests", hot_manifest(bench))
    with bench.warm(bench.among(*EVERYBODY), [(kind, reference)]) as servers:
        def measure(name):
            server = servers[name]
            got = bench.load.loop([server.url(kind, reference)], 64, 1 if bench.quick else 2, keepalive, [server], MANIFEST_HEADERS)
            return {"cpu": got["server_cpu_us_per_request"], "rate": got["requests_per_s"], "p99": got["latency_s"]["p99"] * 1e3,
                    "client": got["client_cpu_s"] / got["wall_s"]}
        seen = bench.interleave(name_of_row, list(servers), measure)
    return [
        Figure(name_of_row, "server CPU per request", "us", seen.of("cpu"), "less", bounds, ceiling="sendfile"),
        Figure(name_of_row, "requests", "1/s", seen.of("rate"), "more", ceiling="sendfile"),
        Figure(name_of_row, "p99", "ms", seen.of("p99"), "less"),
        Figure(name_of_row, "load of the client's core", "share", seen.of("client")),
    ]


def hot_manifest(bench):
    return bench.corpus.manifest("hot-manifest", 2048, [bench.corpus.blob("small-layer", 4096)])

"""Many clients ask at once for one blob that nobody has but a slow upstream."""
from bench import MB
from result import Bound, Figure
from rows import row

CACHES = ("entrepot", "nginx-lock", "nginx-slice", "varnish", "trafficserver", "squid", "registry")


def coalesced(bench, clients, size, rate, bounds_of_cpu=()):
    """Every contestant starts empty each time. A direct download in the same repetition says how long one takes; hot bytes from
    the sendfile program to as many clients are the ceiling of CPU."""
    name_of_row = f"coalesce-{clients}"
    blob = bench.corpus.blob(f"coalesce-{size // MB}", size)
    gigabytes = clients * size / 1e9
    direct = {}

    def measure(name):
        if name == "sendfile":
            with bench.warm([name], [("blobs", blob)]) as servers:
                got = bench.load.once([servers[name].url("blobs", blob)], clients, servers=[servers[name]])
            return {"cpu": got["server_cpu_s"] / gigabytes}
        bench.corpus.touch([blob])
        with bench.upstream(rate) as upstream:
            if turn_of(direct, name):
                direct["s"] = bench.load.once([upstream.url("blobs", blob)])["last_done_s"]
            before = upstream.gets_of(blob)
            with bench.start(name, upstream) as server:
                got = bench.fresh_load(size).once([server.url("blobs", blob)], clients, verify=1, servers=[server])
            return {"gets": upstream.gets_of(blob) - before, "first_byte": got["first_byte_s"]["p50"], "stretch": got["last_done_s"] / direct["s"],
                    "cpu": got["server_cpu_s"] / gigabytes}
    seen = bench.interleave(name_of_row, bench.among(*CACHES, "sendfile"), measure)
    return [
        Figure(name_of_row, "upstream GETs", "", seen.of("gets"), "less", [Bound("1", below=1, above=1)]),
        Figure(name_of_row, "first body byte, median client", "s", seen.of("first_byte"), "less", [Bound("<= Varnish", below=1, against="varnish")]),
        Figure(name_of_row, "last client done / one direct download", "x", seen.of("stretch"), "less", [Bound("<= 1.02", below=1.02)]),
        Figure(name_of_row, "server CPU", "s/GB", seen.of("cpu"), "less", list(bounds_of_cpu), ceiling="sendfile"),
    ]


def turn_of(direct, name):
    """Whether a direct download is due: once a repetition, that is whenever a contestant comes again."""
    met = direct.setdefault("met", set())
    due = name in met or not met
    if due:
        met.clear()
    met.add(name)
    return due


HALF_OF_VARNISH = Bound("<= 0.5 x Varnish", below=0.5, against="varnish")


@row("coalesce-1", "One client, a cold blob")
def coalesce_1(bench):
    """200 MB at 50 MB/s, one client."""
    return coalesced(bench, 1, *sizes(bench, 200, 50))


@row("coalesce-8", "8 clients, one cold blob")
def coalesce_8(bench):
    """200 MB at 50 MB/s, 8 clients at the same moment."""
    return coalesced(bench, 8, *sizes(bench, 200, 50))


@row("coalesce-64", "64 clients, one cold blob")
def coalesce_64(bench):
    """200 MB at 50 MB/s, 64 clients at the same moment: 3.2 GB/s leave the server when it keeps up."""
    return coalesced(bench, 64, *sizes(bench, 200, 50), [HALF_OF_VARNISH])


@row("coalesce-1000", "1,000 clients, one cold blob")
def coalesce_1000(bench):
    """20 MB at 5 MB/s, 1,000 clients at the same moment: 5 GB/s leave the server when it keeps up."""
    return coalesced(bench, 1000, *sizes(bench, 20, 5), [HALF_OF_VARNISH])


def sizes(bench, megabytes, rate):
    return (megabytes * MB // 4 if bench.quick else megabytes * MB), rate * MB


@row("cold-distinct", "200 clients, each with a cold blob of its own")
def cold_distinct(bench):
    """200 blobs of 4 MB, every upstream connection at 2 MB/s: nobody may wait for something that somebody else's slow download
    holds."""
    count, size, rate = 50 if bench.quick else 200, 4 * MB, 2 * MB
    blobs = [bench.corpus.blob(f"distinct-{index}", size) for index in range(count)]

    def measure(name):
        bench.corpus.touch(blobs)
        with bench.upstream(rate) as upstream:
            single = bench.load.once([upstream.url("blobs", blobs[0])])["last_done_s"]
            before = upstream.stats()["total"]["gets"]
            with bench.start(name, upstream) as server:
                got = bench.load.once([server.url("blobs", blob) for blob in blobs], verify=1, servers=[server])
            return {"gets": (upstream.stats()["total"]["gets"] - before) / count, "first_byte": got["first_byte_s"]["p50"],
                    "stretch": got["last_done_s"] / single, "cpu": got["server_cpu_s"] / (count * size / 1e9)}
    seen = bench.interleave("cold-distinct", bench.among(*CACHES), measure)
    return [
        Figure("cold-distinct", "upstream GETs per blob", "", seen.of("gets"), "less", [Bound("1", below=1, above=1)]),
        Figure("cold-distinct", "first body byte, median client", "s", seen.of("first_byte"), "less"),
        Figure("cold-distinct", "last client done / one direct download", "x", seen.of("stretch"), "less", [Bound("<= 1.05", below=1.05)]),
        Figure("cold-distinct", "server CPU", "s/GB", seen.of("cpu"), "less"),
    ]

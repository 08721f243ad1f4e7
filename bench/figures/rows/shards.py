"""Two cores for the server."""
import machine
from bench import MANIFEST_HEADERS, MIB
from result import Bound, Figure
from rows import row
from rows.hot import hot_manifest


@row("shards", "Two shards beside one")
def shards(bench):
    """One shard on core 0, and two on cores 0 and 1. The client needs core 1 itself, so two shards cannot show their throughput
    here: at 100 % of core 1 for both, what counts is whether a byte and a request cost as much CPU with two shards as with one.
    If they do, two cores give twice as much where the client is elsewhere: "possible" is 2 x cost with one / cost with two.
    nginx with two workers beside it. More than 2 is
    possible here, probably because what is sent on the client's own core is still in its cache."""
    blob, manifest = bench.corpus.blob("hot", 256 * MIB), hot_manifest(bench)
    content = [("blobs", blob), ("manifests", manifest)]
    both = [machine.SERVER_CPU, machine.CLIENT_CPU]
    seconds = 1 if bench.quick else 3

    def measure(name):
        server_name, cores = (name[:-2], both) if name.endswith("-2") else (name, both[:1])
        with bench.warm([server_name], content, cpus=cores) as servers:
            if server_name not in servers:
                return {}
            server = servers[server_name]
            large = bench.load.loop([server.url("blobs", blob)], 16, seconds, servers=[server])
            small = bench.load.loop([server.url("manifests", manifest)], 128, seconds, servers=[server], headers=MANIFEST_HEADERS)
        return {"cpu": large["server_cpu_s"] / (large["body_bytes"] / 1e9), "rate": large["gb_per_s"], "request": small["server_cpu_us_per_request"],
                "requests": small["requests_per_s"], "client": large["client_cpu_s"] / large["wall_s"]}
    names = [each for name in bench.among("entrepot", "nginx") for each in (name, f"{name}-2")]
    seen = bench.interleave("shards", names, measure)
    possible = {f"{label}": {name: [2 * one / two if one and two else None for one, two in zip(seen.of(metric)[name], seen.of(metric)[f"{name}-2"])]
                             for name in ("entrepot", "nginx") if f"{name}-2" in seen.of(metric)} for label, metric in (("large", "cpu"), ("small", "request"))}
    limit = [Bound(">= 1.9", above=1.9)]
    return [
        Figure("shards", "large: throughput possible with two cores / one", "x", possible["large"], "more", limit),
        Figure("shards", "small: requests possible with two cores / one", "x", possible["small"], "more", limit),
        Figure("shards", "large: server CPU", "s/GB", seen.of("cpu")),
        Figure("shards", "large: throughput, client on core 1", "GB/s", seen.of("rate")),
        Figure("shards", "small: server CPU per request", "us", seen.of("request")),
        Figure("shards", "small: requests, client on core 1", "1/s", seen.of("requests")),
        Figure("shards", "load of the client's core by the client", "share", seen.of("client")),
    ]

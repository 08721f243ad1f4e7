"""What fetching ahead of the client could win and would cost."""
import http.client
import re
import threading
import time

from bench import MB, Readings
from result import Bound, Figure
from rows import row

DISTANCE = {"delay_ms": 50, "connect_delay_ms": 50}
AT_ONCE = (3, 6, 10)
LIMITS = {"20 MB/s a connection": {"rate": 20 * MB}, "60 MB/s for all together": {"line_rate": 60 * MB}}


@row("prefetch", "Ten layers at a distance")
def prefetch(bench):
    """An image of 10 layers of 12 MB, 50 ms away, cold, with 3, 6 or all 10 layers asked for at a time. A client that asks for
    everything at once sees what a prefetch of all layers could give the others; one that holds eight of ten layers from
    elsewhere shows whether anything is fetched that nobody asked for. Why nothing is: decision 5."""
    layers = [bench.corpus.blob(f"prefetch-layer-{index}", 12 * MB) for index in range(10)]
    manifest = bench.corpus.manifest("prefetch", 2600, layers)
    config = bench.corpus.blob("prefetch-config", 1500)
    figures = []
    for kind, limits in LIMITS.items():
        def measure(name, limits=limits):
            return {f"at{at_once}": cold_pull(bench, name, limits, (manifest, config, layers), at_once) for at_once in AT_ONCE}
        seen = bench.interleave("prefetch", ["direct", *bench.among("entrepot")], measure)
        figures += [Figure("prefetch", f"{kind}, {at_once} at a time", "s", seen.of(f"at{at_once}"), "less", ceiling="direct") for at_once in AT_ONCE]
    return figures + [asked_for_only(bench, manifest, config, layers)]


def cold_pull(bench, name, limits, image, at_once):
    with bench.upstream(**limits, **DISTANCE) as upstream:
        if name == "direct":
            return pull_image(upstream, *image, at_once)
        with bench.start(name, upstream) as server:
            return pull_image(server, *image, at_once)


def asked_for_only(bench, manifest, config, layers):
    seen = Readings()
    for _ in bench.repeat("prefetch, two new layers") if bench.among("entrepot") else ():
        seen.repetitions += 1
        with bench.upstream(delay_ms=50) as upstream, bench.start("entrepot", upstream) as server:
            pull_image(server, manifest, config, layers[-2:], 3)
            time.sleep(0.3)  # what is fetched unasked has reached the upstream by then
            seen.put("entrepot", gets=upstream.stats()["total"]["gets"] / 4)
    return Figure("prefetch", "the client holds 8 of 10 layers: upstream GETs per GET of the client", "", seen.of("gets"),
                  bounds=[Bound("1", below=1, above=1)])


def pull_image(server, manifest, config, layers, at_once):
    """As docker does it: manifest, config, then so many layers at a time. Seconds."""
    start = time.monotonic()
    fetch(server.url("manifests", manifest))
    fetch(server.url("blobs", config))
    waiting, errors = list(layers), []

    def worker():
        while not errors:
            try:
                layer = waiting.pop(0)
            except IndexError:
                return
            try:
                fetch(server.url("blobs", layer))
            except (OSError, http.client.HTTPException, RuntimeError) as error:
                errors.append(error)
    threads = [threading.Thread(target=worker) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise RuntimeError(str(errors[0]))
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

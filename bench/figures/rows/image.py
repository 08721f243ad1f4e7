"""Whole images, as people pull them."""
import os

from bench import MB
from image_clients import Containerd, skopeo_pull
from result import Figure
from rows import row
from rows.coalescing import CACHES

IMAGES = ("library/debian:12", "demo/layers:40")


@row("image-pull", "Whole images by skopeo and containerd")
def image_pull(bench):
    """A Debian of one large layer and an image of 40 small ones, made by tools/make-images, from an upstream 20 ms away with 50
    MB/s a connection: cold through an empty cache, then hot. containerd fetches into its content store, without unpacking.
    "Direct" is the upstream itself. skopeo tries TLS first on any port: Varnish does not answer that, and skopeo waits ten
    seconds."""
    bench.corpus.adopt_images(os.path.join(bench.work, "images"), bench.say)
    clients = {}
    with Containerd(os.path.join(bench.work, "containerd")) as containerd:
        clients["skopeo"] = lambda registry, reference: skopeo_pull(registry, reference, bench.work)
        clients["containerd"] = containerd.pull

        def measure(name):
            return {f"{image} {client} {state}": seconds for image in IMAGES for client in clients
                    for state, seconds in pulls(bench, name, image, clients[client]).items()}
        seen = bench.interleave("image-pull", ["direct", *bench.among(*CACHES)], measure)
    return [Figure("image-pull", f"{image}, {client}, {state}", "s", seen.of(f"{image} {client} {state}"), "less", ceiling="direct" if state == "cold" else "")
            for image in IMAGES for client in clients for state in ("cold", "hot")]


def pulls(bench, name, image, pull):
    with bench.upstream(50 * MB, delay_ms=20) as upstream:
        if name == "direct":
            return {"cold": pull(f"127.0.0.1:{upstream.port}", image)}
        with bench.start(name, upstream) as server:
            registry = f"127.0.0.1:{server.port}"
            return {"cold": pull(registry, image), "hot": pull(registry, image)}

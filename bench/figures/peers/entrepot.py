"""entrepot: one shard for each core it is given, a store of its own."""
import os
import re
import time
import urllib.request

from peers.contestant import Contestant
from process import START_TIMEOUT_S, free_port, last_words


class Entrepot(Contestant):
    name, title = "entrepot", "entrepot"
    speaks_tls = True
    binary = None  # set by the command
    CONFIG = """[server]
listen = ["127.0.0.1:{port}"]
admin = "127.0.0.1:{admin}"
shards = {shards}
default_login_server = "bench.test"
{tls}
[store]
path = "{store}"
capacity = "{capacity}"
scrub = "{scrub}"
[[upstream]]
login_server = "bench.test"
endpoints = ["http://127.0.0.1:{upstream}"]
allow_private = true
[[cache_rule]]
name = "bench"
source = "bench.test/*"
target = "bench.test/*"
tag_ttl = "60s"
"""

    def prepare(self, capacity="40GiB", scrub="30d"):
        self.store, self.admin = self.path("store"), free_port()
        os.makedirs(self.store, exist_ok=True)
        tls = f'[tls]\ncertificate = "{self.tls[0]}"\nprivate_key = "{self.tls[1]}"' if self.tls else ""
        config = self.write("entrepot.toml", self.CONFIG.format(port=self.port, admin=self.admin, store=self.store, capacity=capacity, scrub=scrub,
                                                                upstream=self.upstream_port, shards=len(self.cpus), tls=tls))
        self.started_at = time.monotonic()
        return [self.binary, "serve", "--config", config], None

    def wait_until_ready(self):
        """Ready is the first answer of the admin listener's /readyz: the registry listener may be TLS."""
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"entrepot ended with status {self.process.returncode}: {last_words(self.path('output'))}")
            try:
                with urllib.request.urlopen(self._ready_url(), timeout=5) as answer:
                    if answer.status == 200:
                        self.ready_after_s = time.monotonic() - self.started_at
                        return
            except OSError:
                time.sleep(0.002)
        raise RuntimeError("entrepot does not answer")

    def _ready_url(self):
        return f"http://127.0.0.1:{self.admin}/readyz" if self.tls else f"http://127.0.0.1:{self.port}/v2/"

    def settled(self, blobs, timeout_s=60):
        """The time goes on while the last bytes are made durable."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.metric("entrepot_store_blobs") >= blobs:
                return
            time.sleep(0.01)
        raise RuntimeError(f"entrepot stored {self.metric('entrepot_store_blobs'):.0f} blobs of {blobs} within {timeout_s} s")

    def metrics(self):
        """{name{labels}: value} of the admin listener's /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}

    def metric(self, name, default=0.0):
        return sum(value for key, value in self.metrics().items() if key == name or key.startswith(name + "{")) or default

    def stalls(self):
        """The loop-stall histogram as {upper bound in seconds: cumulated count}."""
        pattern = re.compile(r'entrepot_loop_stall_seconds_bucket\{.*?le="([^"]+)".*?\}')
        counts = {}
        for key, value in self.metrics().items():
            if match := pattern.fullmatch(key):
                bound = float(match[1].replace("+Inf", "inf"))
                counts[bound] = counts.get(bound, 0) + value
        return counts

    @classmethod
    def missing(cls):
        return "" if cls.binary else "no release build"


def worst_stall(before, after):
    """The upper bound of the highest bucket that grew between two readings of stalls(); 0 when none did, None without the metric."""
    if not after:
        return None
    worst, below = 0.0, 0.0
    for bound in sorted(after):
        grown = after[bound] - before.get(bound, 0)
        if grown > below:
            worst = bound
        below = grown
    return worst

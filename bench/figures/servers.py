"""The servers under test and the upstream: how each is configured, started, watched and ended."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import machine

START_TIMEOUT_S = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, what):
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended at once with status {process.returncode}; see its log")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"{what} does not answer on port {port}")


class Process:
    """A child that ends with us. `pids` are the processes whose CPU counts as the server's."""
    name = "process"

    def spawn(self, command, cpu, log):
        self.log_path = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=machine.on_cpu(cpu))

    @property
    def pids(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            return [self.process.pid] + [int(pid) for pid in file.read().split()]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Nginx(Process):
    """nginx with the best settings for static files that we know of: one worker, sendfile, open file cache, no access log. The corpus
    stands under the very paths that the registry has, so that both servers get the same requests, byte for byte."""
    name = "nginx"
    CONFIG = """
worker_processes 1; worker_rlimit_nofile 20000; daemon off; user root; pid {home}/pid; error_log {home}/error.log warn;
events {{ worker_connections 16384; multi_accept on; use epoll; }}
http {{
  access_log off; server_tokens off; types {{ }} default_type application/octet-stream;
  sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_timeout 600s; keepalive_requests 1000000000; reset_timedout_connection on;
  open_file_cache max=20000 inactive=600s; open_file_cache_valid 600s; open_file_cache_min_uses 1;
  client_body_temp_path {home}/t1; proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3; uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
  {cache_zone}
  server {{ listen 127.0.0.1:{port} backlog=4096; root {home}/root; }}
  server {{ listen 127.0.0.1:{threads_port} backlog=4096; root {home}/root; aio threads; }}
  {cache_server}
}}
"""
    CACHE_ZONE = "proxy_cache_path {home}/cache levels=1:2 keys_zone=c:16m max_size=60g inactive=30d use_temp_path=off;"
    CACHE_SERVER = """
  server {{
    listen 127.0.0.1:{cache_port} backlog=4096;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffers 16 128k; proxy_buffer_size 16k; proxy_busy_buffers_size 512k;
    proxy_max_temp_file_size 0; proxy_cache c; proxy_cache_key $uri; proxy_cache_valid 200 365d;
    proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h;
    location / {{ proxy_pass http://127.0.0.1:{upstream_port}; }}
  }}
"""

    def __init__(self, home, upstream_port=None):
        shutil.rmtree(home, ignore_errors=True)
        self.root = os.path.join(home, "root", "v2", "bench.test", "app")
        for kind in ("blobs", "manifests"):
            os.makedirs(os.path.join(self.root, kind))
        self.port, self.threads_port, self.cache_port = free_port(), free_port(), free_port()
        words = {"home": home, "port": self.port, "threads_port": self.threads_port, "cache_port": self.cache_port,
                 "upstream_port": upstream_port, "cache_zone": "", "cache_server": ""}
        if upstream_port:
            words |= {"cache_zone": self.CACHE_ZONE.format(**words), "cache_server": self.CACHE_SERVER.format(**words)}
        config = os.path.join(home, "nginx.conf")
        with open(config, "w") as file:
            file.write(self.CONFIG.format(**words))
        self.spawn(["nginx", "-p", home, "-c", config, "-e", os.path.join(home, "error.log")], machine.SERVER_CPU, os.path.join(home, "log"))
        wait_for_port(self.port, self.process, "nginx")

    def offer(self, kind, reference, path):
        target = os.path.join(self.root, kind, reference)
        if not os.path.exists(target):
            os.link(path, target)  # a hard link: one page cache for upstream, nginx and nobody else

    def url(self, kind, reference, port=None):
        return f"http://127.0.0.1:{port or self.port}/v2/bench.test/app/{kind}/{reference}"

    def threads_url(self, kind, reference):
        """The same with `aio threads`: cold reads on a thread pool."""
        return self.url(kind, reference, self.threads_port)

    def cached_url(self, kind, reference):
        """The same through proxy_cache."""
        return self.url(kind, reference, self.cache_port)


class Varnish(Process):
    """Varnish as a streaming cache: the peer that also gives waiting clients the bytes as they arrive. It verifies no digest and keeps
    everything in memory."""
    name = "varnish"
    VCL = """vcl 4.1;
backend upstream {{ .host = "127.0.0.1"; .port = "{upstream}"; .first_byte_timeout = 300s; .between_bytes_timeout = 300s; }}
sub vcl_recv {{ return (hash); }}
sub vcl_hash {{ hash_data(req.url); return (lookup); }}
sub vcl_backend_response {{ set beresp.do_stream = true; set beresp.ttl = 365d; }}
"""

    def __init__(self, home, upstream_port):
        shutil.rmtree(home, ignore_errors=True)
        os.makedirs(home, mode=0o755)
        self.port = free_port()
        vcl = os.path.join(home, "cache.vcl")
        with open(vcl, "w") as file:
            file.write(self.VCL.format(upstream=upstream_port))
        self.spawn(["varnishd", "-F", "-n", home, "-f", vcl, "-a", f"127.0.0.1:{self.port},HTTP", "-S", "none", "-T", "none", "-j", "none",
                    "-s", "malloc,8g", "-p", "thread_pool_min=50", "-p", "thread_pool_max=2000"], machine.SERVER_CPU, os.path.join(home, "log"))
        wait_for_port(self.port, self.process, "varnishd")

    @staticmethod
    def installed():
        return shutil.which("varnishd") is not None

    def url(self, kind, reference):
        return f"http://127.0.0.1:{self.port}/v2/bench.test/app/{kind}/{reference}"


class Entrepot(Process):
    """entrepot with one shard on one core and a store of its own, new unless `keep`."""
    name = "entrepot"
    CONFIG = """[server]
listen = ["127.0.0.1:{port}"]
admin = "127.0.0.1:{admin}"
shards = 1
[store]
path = "{store}"
capacity = "{capacity}"
[[upstream]]
login_server = "bench.test"
endpoints = ["http://127.0.0.1:{upstream}"]
allow_private = true
[[cache_rule]]
name = "bench"
source = "bench.test/*"
target = "bench.test/*"
tag_ttl = "1h"
{extra}
"""

    def __init__(self, binary, home, upstream_port, keep=False, extra="", capacity="40GiB"):
        self.store = os.path.join(home, "store")
        if not keep:
            shutil.rmtree(home, ignore_errors=True)
        os.makedirs(self.store, exist_ok=True)
        self.port, self.admin = free_port(), free_port()
        config = os.path.join(home, "entrepot.toml")
        with open(config, "w") as file:
            file.write(self.CONFIG.format(port=self.port, admin=self.admin, store=self.store, capacity=capacity, upstream=upstream_port, extra=extra))
        self.started_at = time.monotonic()
        self.spawn([binary, "serve", "--config", config, "--shards", "1"], machine.SERVER_CPU, os.path.join(home, "log"))
        self._wait_for_answer()

    def _wait_for_answer(self):
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                with open(self.log_path) as log:
                    raise RuntimeError(f"entrepot ended with status {self.process.returncode}: {log.read()[-600:]}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/", timeout=5) as answer:
                    if answer.status == 200:
                        self.ready_after_s = time.monotonic() - self.started_at
                        return
            except OSError:
                time.sleep(0.002)
        raise RuntimeError("entrepot does not answer /v2/")

    def url(self, kind, reference):
        return f"http://127.0.0.1:{self.port}/v2/bench.test/app/{kind}/{reference}"

    def metrics(self):
        """{name{labels}: value} of the admin listener's /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}

    def metric(self, name, default=0.0):
        return sum(value for key, value in self.metrics().items() if key == name or key.startswith(name + "{")) or default

    def wait_stored(self, blobs, timeout_s=60):
        """Waits until so many blobs (manifests count) are findable. The time goes on while the last bytes are made durable."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.metric("entrepot_store_blobs") >= blobs:
                return
            time.sleep(0.01)
        raise RuntimeError(f"entrepot stored {self.metric('entrepot_store_blobs'):.0f} blobs of {blobs} within {timeout_s} s")

    def stalls(self):
        """The loop-stall histogram as {upper bound in seconds: cumulated count}."""
        pattern = re.compile(r'entrepot_loop_stall_seconds_bucket\{.*?le="([^"]+)".*?\}')
        counts = {}
        for key, value in self.metrics().items():
            if match := pattern.fullmatch(key):
                bound = float(match[1].replace("+Inf", "inf"))
                counts[bound] = counts.get(bound, 0) + value
        return counts


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


class Upstream(Process):
    """rate_upstream on the clients' core. Prefixes of the corpus' repositories do not matter to it: blobs go by digest."""
    name = "upstream"

    def __init__(self, tools, corpus_root, rate=0, delay_ms=0, connect_delay_ms=0, line_rate=0):
        self.port = free_port()
        numbers = {"--port": self.port, "--rate": rate, "--line-rate": line_rate, "--delay-ms": delay_ms, "--connect-delay-ms": connect_delay_ms}
        command = [os.path.join(tools, "rate_upstream"), "--root", corpus_root, *(str(word) for pair in numbers.items() for word in pair)]
        self.spawn(command, machine.CLIENT_CPU, os.devnull)
        wait_for_port(self.port, self.process, "rate_upstream")

    def url(self, kind, reference):
        return f"http://127.0.0.1:{self.port}/v2/app/{kind}/{reference}"

    def stats(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=10) as answer:
            return json.load(answer)

    def gets_of(self, digest):
        """GETs of this blob, whatever the repository."""
        return sum(count["gets"] for path, count in self.stats()["paths"].items() if path.endswith(digest))


class Herd:
    """Runs the load generator on the clients' core and returns what it printed."""

    def __init__(self, tools):
        self.binary = os.path.join(tools, "herd")

    def start(self, *words, stdin=subprocess.DEVNULL):
        command = [self.binary, *map(str, words)]
        return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, text=True, preexec_fn=machine.on_cpu(machine.CLIENT_CPU))

    def finish(self, process, timeout_s=180):
        output, _ = process.communicate(timeout=timeout_s)
        if not output.strip():
            raise RuntimeError(f"herd printed nothing (status {process.returncode})")
        return json.loads(output.strip().splitlines()[-1])

    def __call__(self, *words, servers=(), timeout_s=180):
        pids = [word for server in servers for pid in server.pids for word in ("--server-pid", pid)]
        result = self.finish(self.start(*words, *pids), timeout_s)
        if result["failed"] or any(int(status) >= 300 for status in result["status"]):
            raise RuntimeError(f"not every answer was complete: {result['status']} {result['failures']}")
        return result

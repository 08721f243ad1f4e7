"""nginx in its four roles: static files, the same with a thread pool, proxy_cache with lock, proxy_cache with slices."""
import os

from peers.contestant import Contestant


class Nginx(Contestant):
    program = "nginx"
    speaks_tls = True
    aio = ""
    CONFIG = """
# One process for each core that it may use.
worker_processes {workers}; worker_rlimit_nofile 20000; daemon off; user root; pid {home}/pid; error_log {home}/error.log error;
# All waiting connections are accepted in one turn, so that a thousand at once cost one wake-up.
events {{ worker_connections 16384; multi_accept on; use epoll; }}
http {{
  access_log off; server_tokens off; types {{ }} default_type application/octet-stream;
  # From the page cache to the socket without a copy; head and first bytes in one packet; no pause at the end of a body.
  sendfile on; tcp_nopush on; tcp_nodelay on;
  # sendfile_max_chunk stays at its 2 MiB: no client keeps the worker from the others for longer.
  # Connections stay as long as the client wants, for as many requests as it has.
  keepalive_timeout 600s; keepalive_requests 1000000000; reset_timedout_connection on;
  # Open descriptors and sizes are remembered: no open, fstat and close for a hot file.
  open_file_cache max=20000 inactive=600s; open_file_cache_valid 600s; open_file_cache_min_uses 1;
  client_body_temp_path {home}/t1; proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3; uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
  {cache}
  server {{
    listen 127.0.0.1:{port} backlog=4096 {tls_word}; root {home}/root; {aio}
    {tls}
    {locations}
  }}
}}
"""
    # One suite for everyone. No resumption: no container client resumes sessions, so each connection is a full handshake.
    # Records of 16 KiB, the largest: the fewest for a layer.
    # No KTLS: where the kernel has it, `ssl_conf_command Options KTLS` would be the next thing to try.
    TLS = """ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;
    ssl_session_cache off; ssl_session_tickets off; ssl_buffer_size 16k;"""

    def prepare(self):
        os.makedirs(self.path("root"), exist_ok=True)
        tls = self.TLS.format(certificate=self.tls[0], key=self.tls[1]) if self.tls else ""
        words = {"home": self.home, "port": self.port, "upstream": self.upstream_port, "workers": len(self.cpus)}
        words |= {"cache": self.cache().format(**words), "locations": self.locations().format(**words), "tls": tls,
                  "tls_word": "ssl" if self.tls else "", "aio": self.aio}
        config = self.write("nginx.conf", self.CONFIG.format(**words))
        return ["nginx", "-p", self.home, "-c", config, "-e", self.path("error.log")], None

    def cache(self):
        return ""

    def locations(self):
        return ""


class NginxStatic(Nginx):
    """Files under the very paths that a registry has, so that every server gets the same requests, byte for byte."""
    name, title = "nginx", "nginx static"
    caches = False

    def offer(self, kind, reference, path):
        target = self.path("root", "v2", "bench.test", "app", kind, reference)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target):
            os.link(path, target)  # a hard link: one page cache for it and the upstream


class NginxThreads(NginxStatic):
    """Cold reads on a thread pool, so that the worker need not wait for the disk."""
    name, title = "nginx-threads", "nginx aio threads"
    aio = "aio threads;"


class NginxCache(Nginx):
    name, title = "nginx-lock", "nginx proxy_cache, lock"
    ZONE = """# Written where it stays (no copy from a temporary folder), never too old, and room enough that nothing is evicted.
  proxy_cache_path {home}/cache levels=1:2 keys_zone=c:256m max_size=60g inactive=30d use_temp_path=off loader_files=100000 loader_threshold=10s;
  # Connections to the upstream are kept.
  upstream registry {{ server 127.0.0.1:{upstream}; keepalive 64; }}"""
    # Big buffers: fewer and larger reads and writes of a body. No temporary file beside the cache. The lock waits as long as a
    # download takes: with the default 5 s every waiter would then ask the upstream itself.
    COMMON = """proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
    proxy_buffers 16 128k; proxy_buffer_size 16k; proxy_busy_buffers_size 512k; proxy_max_temp_file_size 0; proxy_read_timeout 300s;
    proxy_cache c; proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h;
    proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;"""
    # Blobs by digest, whoever asks for them in which repository. Manifests by tag are asked again after a minute.
    BLOBS = "location ~ ^/v2/.+/blobs/(?<digest>sha256:[0-9a-f]+)$ {{ proxy_cache_key $digest; proxy_cache_valid 200 365d; proxy_pass http://registry; }}"
    REST = """
    location ~ ^/v2/.+/manifests/sha256: {{ proxy_cache_key $uri; proxy_cache_valid 200 365d; proxy_pass http://registry; }}
    location ~ ^/v2/.+/manifests/ {{ proxy_cache_key $uri; proxy_cache_valid 200 60s; proxy_cache_revalidate on; proxy_pass http://registry; }}
    location /v2/ {{ proxy_cache off; proxy_pass http://registry; }}"""

    def cache(self):
        return self.ZONE

    def locations(self):
        return self.COMMON + self.BLOBS + self.REST


class NginxSlice(NginxCache):
    """A body in slices of their own requests, so that waiting clients get each slice as it is complete. 8 MiB: few requests for a
    layer of a hundred megabytes, and a first byte after 8 MiB instead of all."""
    name, title = "nginx-slice", "nginx proxy_cache, slice"
    BLOBS = """location ~ ^/v2/.+/blobs/(?<digest>sha256:[0-9a-f]+)$ {{
      slice 8m; proxy_set_header Range $slice_range; proxy_cache_key $digest|$slice_range; proxy_cache_valid 200 206 365d; proxy_pass http://registry; }}"""

"""Squid as an accelerator with collapsed forwarding. It verifies no digest."""
import os
import signal

from peers.contestant import Contestant


class Squid(Contestant):
    name, title, program = "squid", "Squid", "squid"
    user = "proxy"  # it refuses to be root
    end_signal = signal.SIGKILL  # asked nicely it takes two seconds, and its store is thrown away
    CONFIG = """
# The role of a reverse proxy for one upstream.
http_port 127.0.0.1:{port} accel defaultsite=127.0.0.1:{port} no-vhost ignore-cc
cache_peer 127.0.0.1 parent {upstream} 0 no-query no-digest originserver name=registry
acl loopback src 127.0.0.0/8
http_access allow loopback
cache_peer_access registry allow all
never_direct allow all
# Files, with reads and writes on threads: `rock` measured many times slower for layers.
cache_dir aufs {home}/cache 20000 16 32 max-size=4294967296
maximum_object_size 4 GB
# Small bodies from memory, large ones from their files (its own limit for this is 512 KB).
cache_mem 512 MB
maximum_object_size_in_memory 1 MB
# Many who ask for the same at once share one request; the whole is fetched whatever part is asked for and whoever leaves.
collapsed_forwarding on
range_offset_limit none
quick_abort_min -1 KB
# The fill may run a little ahead of the first client; further (1 MB, 16 MB) measured slower.
read_ahead_gap 64 KB
# A digest never ages; a tag is asked again.
refresh_pattern -i /(blobs|manifests)/sha256: 525600 100% 525600 override-expire ignore-private
refresh_pattern . 1 20% 1
# Nobody reads logs; no pinger, no field that the others do not send.
access_log none
cache_log {home}/cache.log
cache_store_log none
pinger_enable off
via off
forwarded_for delete
# Connections stay as long as the client wants, as many as the descriptors allow.
client_idle_pconn_timeout 600 seconds
client_lifetime 1 day
max_filedescriptors 20000
client_db off
digest_generation off
half_closed_clients off
pid_filename {home}/squid.pid
coredump_dir {home}
shutdown_lifetime 0 seconds
"""

    def prepare(self):
        os.makedirs(self.path("cache"), exist_ok=True)
        config = self.write("squid.conf", self.CONFIG.format(home=self.home, port=self.port, upstream=self.upstream_port))
        for first in range(16):  # what `squid -z` would make, which takes five seconds
            for second in range(32):
                os.makedirs(self.path("cache", f"{first:02X}", f"{second:02X}"), exist_ok=True)
        return ["squid", "-N", "-f", config], None

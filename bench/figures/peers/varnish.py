"""Varnish as a streaming cache: the peer that also gives waiting clients the bytes as they arrive. It verifies no digest."""
from peers.contestant import Contestant

# What it would note of every request in its shared memory.
TAGS = """
Begin End Link SessOpen SessClose ReqStart ReqMethod ReqURL ReqProtocol ReqHeader ReqUnset ReqAcct Timestamp RespProtocol
RespStatus RespReason RespHeader RespUnset Hit HitMiss HitPass VCL_call VCL_return VCL_use Filters Storage TTL Fetch_Body Length
BereqMethod BereqURL BereqProtocol BereqHeader BereqUnset BereqAcct BerespProtocol BerespStatus BerespReason BerespHeader
BerespUnset BackendOpen BackendClose
""".split()


class Varnish(Contestant):
    name, title, program = "varnish", "Varnish", "varnishd"
    on_disk = False
    VCL = """vcl 4.1;
backend upstream {{ .host = "127.0.0.1"; .port = "{upstream}"; .first_byte_timeout = 300s; .between_bytes_timeout = 300s; }}
sub vcl_recv {{ if (req.url == "/v2/") {{ return (pass); }} return (hash); }}
# Blobs by digest, whoever asks for them in which repository.
sub vcl_hash {{
  if (req.url ~ "/blobs/sha256:") {{ hash_data(regsub(req.url, "^.*/blobs/", "")); }} else {{ hash_data(req.url); }}
  return (lookup);
}}
sub vcl_backend_response {{
  # Waiting clients get each byte as it arrives.
  set beresp.do_stream = true;
  if (beresp.status != 200) {{ set beresp.ttl = 0s; }}
  else if (bereq.url ~ "(blobs|manifests)/sha256:") {{ set beresp.ttl = 365d; }}
  else {{ set beresp.ttl = 60s; set beresp.grace = 1h; }}
}}
"""
    PARAMETERS = {
        "thread_pools": 1,              # one core, one pool
        "thread_pool_min": 100,         # threads that stand ready: a connection of a slow client holds one
        "thread_pool_max": 4000,        # a thousand waiting clients need a thousand threads
        "thread_pool_add_delay": 0,     # no pause between new threads when many connect at once
        "thread_queue_limit": 20000,    # nobody is refused while threads are made
        "listen_depth": 4096,           # as for everyone
        "timeout_idle": 600,            # connections stay as long as the client wants
        "nuke_limit": 1000,             # room for a large body may be made from many small ones
        "vsl_mask": ",".join(f"-{tag}" for tag in TAGS),  # no reader, so nothing is logged that can be left out
        "cli_timeout": 300,             # a busy child is not killed by its parent
    }

    def prepare(self):
        vcl = self.write("cache.vcl", self.VCL.format(upstream=self.upstream_port))
        parameters = [word for name, value in self.PARAMETERS.items() for word in ("-p", f"{name}={value}")]
        # Bodies in memory: the fastest of its stores.
        return ["varnishd", "-F", "-n", self.path("work"), "-f", vcl, "-a", f"127.0.0.1:{self.port},HTTP", "-S", "none", "-T", "none", "-j", "none",
                "-s", "default=malloc,8g", *parameters], None

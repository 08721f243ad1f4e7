"""Traffic Server with read-while-writer: waiting clients get the bytes as they are written to the cache. It verifies no digest."""
import os
import shutil

from peers.contestant import Contestant

ETC = "/etc/trafficserver"


class TrafficServer(Contestant):
    name, title, program = "trafficserver", "Traffic Server", "traffic_server"
    speaks_tls = True
    user = "trafficserver"  # it refuses to be root
    # (setting, value, why)
    RECORDS = [
        ("http.server_ports STRING", "{port}:ip-in=127.0.0.1{ssl}", "one listener"),
        ("admin.user_id STRING", "trafficserver", "the user it already is"),
        ("exec_thread.autoconfig INT", "0", "the next line counts"),
        ("exec_thread.limit INT", "{threads}", "one event thread for each core"),
        ("accept_threads INT", "0", "each event thread accepts for itself, without a switch of threads"),
        ("cache.threads_per_disk INT", "8", "cold reads beside each other"),
        ("log.logging_enabled INT", "0", "nobody reads it"),
        ("diags.debug.enabled INT", "0", "nobody reads it"),
        ("reverse_proxy.enabled INT", "1", "the role it has here"),
        ("url_remap.remap_required INT", "1", "the upstream of remap.config and nothing else"),
        ("url_remap.pristine_host_hdr INT", "1", "one rewriting less"),
        ("http.insert_request_via_str INT", "0", "no field that the others do not send"),
        ("http.insert_response_via_str INT", "0", "no field that the others do not send"),
        ("http.wait_for_cache INT", "1", "it listens when its cache is ready: what comes before would not be kept"),
        ("http.cache.http INT", "1", "it shall cache"),
        ("http.cache.required_headers INT", "0", "a registry sends no expiry, a digest never ages"),
        ("http.cache.when_to_revalidate INT", "3", "never: what is asked for here is addressed by digest"),
        ("cache.ram_cache.size INT", "4294967296", "hot bodies in memory"),
        ("cache.ram_cache_cutoff INT", "1073741824", "large ones too"),
        ("cache.max_doc_size INT", "0", "no limit for a layer"),
        ("cache.min_average_object_size INT", "65536", "a directory sized for layers"),
        ("cache.target_fragment_size INT", "1048576", "the largest: fewer reads for a layer"),
        ("cache.enable_read_while_writer INT", "1", "waiting clients read what is being written"),
        ("cache.read_while_writer.max_retries INT", "1000", "and do not give up while it is written"),
        ("cache.read_while_writer_retry.delay INT", "20", "milliseconds until they look again"),
        ("http.background_fill_active_timeout INT", "0", "a fill goes on without its first client"),
        ("http.background_fill_completed_threshold FLOAT", "0.0", "from its first byte"),
        ("http.cache.max_open_read_retries INT", "1000", "waiting for the writer's head instead of asking the upstream too"),
        ("http.cache.open_read_retry_time INT", "10", "milliseconds between these"),
        ("http.cache.open_write_fail_action INT", "5", "who cannot write joins the reader of the other's write"),
        ("http.cache.max_open_write_retries INT", "1", "at once"),
        ("http.transaction_no_activity_timeout_in INT", "600", "slow clients stay"),
        ("http.transaction_no_activity_timeout_out INT", "600", "slow upstreams too"),
        ("http.keep_alive_no_activity_timeout_in INT", "600", "connections stay as long as the client wants"),
        ("net.connections_throttle INT", "18000", "ten thousand idle connections and their upstream ones"),
        ("net.max_connections_in INT", "17000", "the same"),
        ("net.listen_backlog INT", "4096", "as for everyone"),
        ("ssl.TLSv1_3 INT", "0", "one version and suite for everyone"),
        ("ssl.server.cipher_suite STRING", "ECDHE-ECDSA-AES128-GCM-SHA256", "one version and suite for everyone"),
        ("ssl.session_cache INT", "0", "no container client resumes sessions"),
        ("ssl.server.session_ticket.enable INT", "0", "no container client resumes sessions"),
    ]

    def prepare(self):
        for folder in ("etc", "cache", "run", "log", "share"):
            os.makedirs(self.path(folder), exist_ok=True)
        shutil.copytree(ETC, self.path("etc"), dirs_exist_ok=True)
        words = {"port": self.port, "ssl": ":ssl" if self.tls else "", "threads": len(self.cpus)}
        self.write("etc/records.config", "".join(f"CONFIG proxy.config.{key} {value.format(**words)}\n" for key, value, _ in self.RECORDS))
        self.write("etc/remap.config", f"map / http://127.0.0.1:{self.upstream_port}/\n")
        self.write("etc/storage.config", f"{self.path('cache')} 12G\n")
        if self.tls:
            certificate, key = (shutil.copy(path, self.path("etc")) for path in self.tls)
            self.write("etc/ssl_multicert.config", f"dest_ip=* ssl_cert_name={certificate} ssl_key_name={key}\n")
        folders = {"prefix": "/usr", "exec_prefix": "/usr", "bindir": "/usr/bin", "sbindir": "/usr/sbin", "includedir": "/usr/include",
                   "libdir": "/usr/lib/trafficserver", "libexecdir": "/usr/lib/trafficserver/modules", "sysconfdir": self.path("etc"),
                   "datadir": self.path("share"), "localstatedir": self.home, "runtimedir": self.path("run"), "logdir": self.path("log"),
                   "cachedir": self.path("cache")}
        root = self.write("runroot.yaml", "".join(f"{name}: {path}\n" for name, path in folders.items()))
        return ["traffic_server", f"--run-root={root}"], None

"""docker-registry in proxy mode: the usual mirror of registries. It checks the digests of what it stores, not of what it passes on."""
from peers.contestant import Contestant


class DockerRegistry(Contestant):
    name, title, program = "registry", "docker-registry proxy", "docker-registry"
    speaks_tls = True
    # No access log, only warnings; descriptors of blobs remembered in memory; many files at once; no purging in the background.
    CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {home}/store, maxthreads: 1000}}
  cache: {{blobdescriptor: inmemory}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http:
  addr: 127.0.0.1:{port}
  secret: one-instance
{tls}
"""
    PROXY = 'proxy: {{remoteurl: "http://127.0.0.1:{upstream}"}}\n'

    def prepare(self, proxy=True):
        tls = f"  tls: {{certificate: {self.tls[0]}, key: {self.tls[1]}}}" if self.tls else ""
        config = self.write("registry.yml", self.CONFIG.format(home=self.home, port=self.port, tls=tls)
                            + (self.PROXY.format(upstream=self.upstream_port) if proxy else ""))
        # GOGC: memory is plenty here, so the collector may run a quarter as often. GOMAXPROCS: as many as cores, without a look
        # at the machine's.
        return ["docker-registry", "serve", config], {"GOGC": "400", "GOMAXPROCS": str(len(self.cpus))}

"""podman, by rule target and as a mirror, plain and over TLS; images are stored and unpacked by it."""
import os
import subprocess

from harness.mounts import root_refused
from harness.private import PASSWORD, PrivateCache
from harness.registry import missing
from harness.story import Rows, skip


class Podman:
    """podman with stores of its own, so that nothing of this machine's is touched."""

    def __init__(self, directory, name, registries=""):
        if missing("podman"):
            skip("podman is not installed")
        if refused := root_refused():
            skip(f"no layer can be unpacked: {refused}")
        self.base = ["podman", "--root", f"{directory}/{name}/root", "--runroot", f"{directory}/{name}/run", "--tmpdir", f"{directory}/{name}/tmp",
                     "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
        os.makedirs(f"{directory}/{name}")
        config = f"{directory}/{name}/registries.conf"
        with open(config, "w", encoding="utf-8") as file:
            file.write(registries)
        self.environment = {**os.environ, "CONTAINERS_REGISTRIES_CONF": config, "TMPDIR": f"{directory}/{name}"}

    def done(self, *arguments):
        return subprocess.run([*self.base, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, env=self.environment, check=False)

    def run(self, *arguments, succeeds=True):
        done = self.done(*arguments)
        assert not succeeds or done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def pull(self, image, *options):
        self.run("pull", "-q", *options, image)
        return self.run("image", "inspect", "--format", "{{.Digest}}", image)


def test_cold_hot_and_without_upstream(make_cache, registry, directory):
    cache = make_cache(registry, tag_ttl="1s")
    images = ("library/busybox:latest", "demo/layers:40", "library/busybox:schema2")
    digests = {image: registry.digest_of(image) for image in images}
    with Rows() as rows:
        for turn in ("cold", "hot", "stopped"):
            if turn == "stopped":
                registry.stop()
            for number, image in enumerate(images):
                podman = Podman(directory, f"{turn}{number}")       # one store each: podman keeps the digest it saw first
                found = podman.pull(f"127.0.0.1:{cache.port}/docker.io/{image}", "--tls-verify=false")
                rows.check(found == digests[image], f"{turn} {image}", found)
        rows.check(max(registry.blob_gets().values()) == 1, "upstream GETs per blob", registry.blob_gets())


def test_another_architecture(make_cache, registry, directory):
    cache = make_cache(registry)
    podman = Podman(directory, "podman")
    podman.run("pull", "-q", "--arch", "arm64", "--tls-verify=false", f"127.0.0.1:{cache.port}/docker.io/demo/multi:1")
    assert podman.run("image", "inspect", "--format", "{{.Architecture}}", f"127.0.0.1:{cache.port}/docker.io/demo/multi:1") == "arm64"


def test_as_a_mirror_with_a_prefix(make_cache, registry, directory):
    cache = make_cache(registry)
    podman = Podman(directory, "mirror", f'unqualified-search-registries = ["docker.io"]\n[[registry]]\nprefix = "docker.io"\nlocation = "127.0.0.1:1"\n'
                    f'[[registry.mirror]]\nlocation = "127.0.0.1:{cache.port}/docker.io"\ninsecure = true\n')
    assert podman.pull("docker.io/library/busybox:latest") == registry.digest_of("library/busybox:latest")
    assert cache.metric("served_bytes_total") > 500_000, "it came through the cache"


def test_over_tls_with_a_private_authority(make_cache, registry, certificates, directory):
    chain, key = certificates.server()
    cache = make_cache(registry, tls={"certificate": chain, "private_key": key}, client_tls=certificates.client_context())
    os.makedirs(f"{directory}/trust")
    os.symlink(certificates.authority, f"{directory}/trust/ca.crt")
    podman = Podman(directory, "podman")
    assert podman.pull(f"localhost:{cache.port}/docker.io/demo/layers:40", f"--cert-dir={directory}/trust") == registry.digest_of("demo/layers:40")


def test_logs_in_and_pulls_what_is_private(make_cache, registry, directory):
    private = PrivateCache(make_cache, registry, directory)
    image, wanted = f"{private.host}/private/busybox:latest", registry.digest_of("library/busybox:latest")
    podman = Podman(directory, "podman")
    authfile = f"--authfile={directory}/auth.json"
    with Rows() as rows:
        def tried(*arguments):
            return podman.done(*arguments).returncode
        rows.check(tried("pull", "-q", "--tls-verify=false", image) != 0, "a stranger", "")
        rows.check(podman.pull(f"{private.host}/open/multi:1", "--tls-verify=false"), "what is for everybody, with no login", "")
        rows.check(tried("login", authfile, "--tls-verify=false", "-u", "alice", "-p", "wrong-password", private.host) != 0, "a wrong password", "")
        rows.check(tried("login", authfile, "--tls-verify=false", "-u", "alice", "-p", PASSWORD, private.host) == 0, "login", "")
        rows.check(podman.pull(image, authfile, "--tls-verify=false") == wanted, "pull", "")
        rows.check(podman.pull(f"{private.host}/open/multi:1", authfile, "--tls-verify=false"), "and what is for everybody", "")
        rows.check(Podman(directory, "robot").pull(image, "--tls-verify=false", "--creds", f"robot:{private.robot}") == wanted, "a token", "")
        rows.check(tried("pull", "-q", "--tls-verify=false", "--creds", f"bobby:{PASSWORD}", image) != 0, "an account that is not listed", "")


test_cold_hot_and_without_upstream.limit_s = 240

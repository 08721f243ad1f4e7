"""containerd with ctr: by rule target over plain HTTP, and as a mirror in hosts.toml, where it adds ?ns= to every request."""
import os
import subprocess

from harness.private import PASSWORD, PrivateCache
from harness.registry import missing
from harness.service import Service
from harness.story import Rows, skip


class Containerd:
    def __init__(self, story, directory):
        if missing("containerd", "ctr"):
            skip("containerd is not installed")
        self.directory = f"{directory}/containerd{len(story.closers)}"
        os.makedirs(self.directory)
        self.socket = f"{self.directory}/containerd.sock"
        config = f"{self.directory}/config.toml"
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'version = 2\nroot = "{self.directory}/root"\nstate = "{self.directory}/state"\n'
                       'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",'
                       ' "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt"]\n'
                       f'[grpc]\naddress = "{self.socket}"\n[ttrpc]\naddress = "{self.socket}.ttrpc"\n')
        story.service(Service("containerd", ["containerd", "--config", config], f"{self.directory}/log", self.answers))

    def answers(self):
        return os.path.exists(self.socket) and self.ctr("version", succeeds=False).returncode == 0

    def ctr(self, *arguments, succeeds=True):
        done = subprocess.run(["ctr", "-a", self.socket, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
        assert not succeeds or done.returncode == 0, f"ctr {' '.join(arguments)}: {done.stderr}{done.stdout[-500:]}"
        return done

    def pull(self, image, *options):
        """Returns the digest of what was pulled."""
        self.ctr("images", "pull", "--snapshotter", "native", *options, image)
        for line in self.ctr("images", "ls").stdout.splitlines():
            if line.split()[0] == image:
                return next(word for word in line.split() if word.startswith("sha256:"))
        raise AssertionError(f"{image} is not among the images of containerd")

    def hosts(self, name, text):
        folder = f"{self.directory}/hosts/{name}"
        os.makedirs(folder)
        with open(f"{folder}/hosts.toml", "w", encoding="utf-8") as file:
            file.write(text)
        return f"--hosts-dir={self.directory}/hosts"


def test_by_rule_target_cold_hot_and_without_upstream(story, make_cache, registry, directory):
    cache = make_cache(registry, tag_ttl="1s")
    images = ("library/busybox:latest", "demo/layers:40")
    digests = {image: registry.digest_of(image) for image in images}
    with Rows() as rows:
        for turn in ("cold", "hot", "stopped"):
            if turn == "stopped":
                registry.stop()
            containerd = Containerd(story, directory)
            for image in images:
                found = containerd.pull(f"127.0.0.1:{cache.port}/docker.io/{image}", "--plain-http")
                rows.check(found == digests[image], f"{turn} {image}", found)
        rows.check(max(registry.blob_gets().values()) == 1, "upstream GETs per blob", registry.blob_gets())


def test_as_a_mirror_with_ns(story, make_cache, registry, directory):
    cache = make_cache(registry)
    containerd = Containerd(story, directory)
    hosts = containerd.hosts("docker.io", f'server = "http://127.0.0.1:1"\n[host."http://127.0.0.1:{cache.port}"]\n  capabilities = ["pull", "resolve"]\n')
    with Rows() as rows:
        for image in ("library/busybox:latest", "demo/layers:40", "demo/multi:1"):
            rows.check(containerd.pull(f"docker.io/{image}", hosts) == registry.digest_of(image), image, "")
        rows.check(max(registry.blob_gets().values()) == 1, "upstream GETs per blob", registry.blob_gets())


def test_as_a_mirror_with_a_prefix_and_ns(story, make_cache, registry, directory):
    cache = make_cache(registry)
    containerd = Containerd(story, directory)
    hosts = containerd.hosts("docker.io", f'server = "http://127.0.0.1:1"\n[host."http://127.0.0.1:{cache.port}/v2/docker.io"]\n'
                             '  capabilities = ["pull", "resolve"]\n  override_path = true\n  [host."http://127.0.0.1:%d/v2/docker.io".header]\n'
                             '    x-lab-test = "hello"\n' % cache.port)
    assert containerd.pull("docker.io/library/busybox:latest", hosts) == registry.digest_of("library/busybox:latest")


def test_a_login_server_with_a_port_as_ns(story, make_cache, make_registry, directory):
    registry = make_registry(login_server="upstream.test:5000")
    cache = make_cache(registry, rule={"target": "lab/*"})      # a target is a repository path, so it has no port
    containerd = Containerd(story, directory)
    hosts = containerd.hosts("upstream.test:5000", f'server = "http://127.0.0.1:1"\n[host."http://127.0.0.1:{cache.port}"]\n  capabilities = ["pull", "resolve"]\n')
    assert containerd.pull("upstream.test:5000/library/busybox:latest", hosts) == registry.digest_of("library/busybox:latest")


def test_over_tls_with_a_private_authority(story, make_cache, registry, certificates, directory):
    chain, key = certificates.server()
    cache = make_cache(registry, tls={"certificate": chain, "private_key": key}, client_tls=certificates.client_context())
    containerd = Containerd(story, directory)
    hosts = containerd.hosts("docker.io", f'server = "http://127.0.0.1:1"\n[host."https://localhost:{cache.port}"]\n  capabilities = ["pull", "resolve"]\n'
                             f'  ca = "{certificates.authority}"\n')
    assert containerd.pull("docker.io/demo/layers:40", hosts) == registry.digest_of("demo/layers:40")


def test_an_artifact_is_fetched_as_it_is(story, make_cache, registry, directory):
    cache = make_cache(registry)
    containerd = Containerd(story, directory)
    containerd.ctr("content", "fetch", "--plain-http", f"127.0.0.1:{cache.port}/docker.io/demo/chart:0.1.0")
    listed = containerd.ctr("content", "ls").stdout
    assert registry.digest_of("demo/chart:0.1.0") in listed


test_by_rule_target_cold_hot_and_without_upstream.limit_s = 240


def test_with_credentials_by_target_and_as_a_mirror(story, make_cache, registry, directory):
    """containerd posts an OAuth2 password grant; as a mirror it asks with ?ns= and a scope that names the image without its registry."""
    private = PrivateCache(make_cache, registry, directory)
    wanted = registry.digest_of("library/busybox:latest")
    image = f"{private.host}/private/busybox:latest"
    containerd = Containerd(story, directory)
    hosts = containerd.hosts("docker.io", f'server = "http://127.0.0.1:1"\n[host."http://{private.host}"]\n  capabilities = ["pull", "resolve"]\n')
    with Rows() as rows:
        rows.check(containerd.ctr("images", "pull", "--plain-http", image, succeeds=False).returncode != 0, "a stranger", "")
        rows.check(containerd.pull(f"{private.host}/open/multi:1", "--plain-http"), "what is for everybody, with no login", "")
        rows.check(containerd.ctr("images", "pull", "--plain-http", "-u", "alice:wrong-password", image, succeeds=False).returncode != 0, "a wrong password", "")
        rows.check(containerd.pull(image, "--plain-http", "-u", f"alice:{PASSWORD}") == wanted, "by target", "")
        posts = private.cache.metric("requests_total", kind="token", status="200")
        rows.check(posts >= 1, "it came for a token", posts)
        other = Containerd(story, directory)
        rows.check(other.pull("docker.io/library/busybox:latest", hosts, "-u", f"alice:{PASSWORD}") == wanted, "as a mirror", "")
        rows.check(other.ctr("images", "pull", "--snapshotter", "native", hosts, "-u", f"bobby:{PASSWORD}", "docker.io/library/busybox:schema2", succeeds=False).returncode != 0,
                   "as a mirror, an account that is not listed", "")
        rows.check(other.pull("docker.io/demo/multi:1", hosts) == registry.digest_of("demo/multi:1"), "as a mirror, what is for everybody", "")

"""dockerd, by rule target and as its registry mirror (root style, docker.io names only). Skipped where it is absent or cannot start."""
import json
import os
import subprocess

from harness.mounts import root_refused
from harness.private import PASSWORD, PrivateCache
from harness.registry import missing
from harness.service import Service
from harness.story import Rows, skip

# dockerd falls back to the real Docker Hub when its mirror fails; here that must be a failure, not a download.
ONLY_LOOPBACK = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1,localhost"}


class Docker:
    def __init__(self, story, directory, *options):
        absent = missing("dockerd", "containerd")
        if absent:
            skip(f"{', '.join(absent)} is not installed (Debian package docker.io)")
        if refused := root_refused():
            skip(f"no layer can be unpacked: {refused}")
        self.directory = f"{directory}/docker{len(story.closers)}"
        os.makedirs(self.directory)
        self.socket = f"unix://{self.directory}/docker.sock"
        config = f"{self.directory}/daemon.json"
        with open(config, "w", encoding="utf-8") as file:
            json.dump({}, file)
        daemon = ["dockerd", "--config-file", config, "--data-root", f"{self.directory}/root", "--exec-root", f"{self.directory}/exec",
                  "--pidfile", f"{self.directory}/docker.pid", "-H", self.socket, "--iptables=false", "--ip6tables=false", "--bridge=none",
                  "--storage-driver", "vfs", *options]
        try:
            story.service(Service("dockerd", daemon, f"{self.directory}/log", self.answers, ONLY_LOOPBACK), timeout=40)
        except AssertionError as reason:
            skip(f"dockerd does not start here: {str(reason).splitlines()[-1][:200]}")

    def run(self, *arguments, succeeds=True):
        done = subprocess.run(["docker", "-H", self.socket, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
        assert not succeeds or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
        return done

    def answers(self):
        return self.run("version", succeeds=False).returncode == 0

    def pull(self, image):
        self.run("pull", "-q", image)
        return self.run("image", "inspect", "--format", "{{index .RepoDigests 0}}", image).stdout.strip().split("@")[1]


def test_by_rule_target(story, make_cache, registry, directory):
    cache = make_cache(registry)
    with Rows() as rows:
        for turn in ("cold", "hot"):
            docker = Docker(story, directory)
            for image in ("library/busybox:latest", "demo/layers:40", "library/busybox:schema2"):
                rows.check(docker.pull(f"127.0.0.1:{cache.port}/docker.io/{image}") == registry.digest_of(image), f"{turn} {image}", "")
        rows.check(max(registry.blob_gets().values()) == 1, "upstream GETs per blob", registry.blob_gets())


def test_as_its_registry_mirror(story, make_cache, registry, directory):
    cache = make_cache(registry)
    docker = Docker(story, directory, "--registry-mirror", f"http://127.0.0.1:{cache.port}")
    assert docker.pull("busybox:latest") == registry.digest_of("library/busybox:latest")
    assert cache.metric("served_bytes_total") > 500_000, "it came through the cache"


def test_logs_in_and_pulls_what_is_private(story, make_cache, registry, directory):
    private = PrivateCache(make_cache, registry, directory)
    image, wanted = f"{private.host}/private/busybox:latest", registry.digest_of("library/busybox:latest")
    docker = Docker(story, directory)
    config = ("--config", f"{directory}/docker-config")
    with Rows() as rows:
        rows.check(docker.run(*config, "pull", "-q", image, succeeds=False).returncode != 0, "a stranger", "")
        rows.check(docker.pull(f"{private.host}/open/layers:40") == registry.digest_of("demo/layers:40"), "what is for everybody, with no login", "")
        refused = docker.run(*config, "login", "-u", "alice", "-p", "wrong-password", private.host, succeeds=False)
        rows.check(refused.returncode != 0 and "unauthorized" in refused.stderr, "a wrong password", refused.stderr)
        docker.run(*config, "login", "-u", "alice", "-p", PASSWORD, private.host)
        docker.run(*config, "pull", "-q", image)
        found = docker.run("image", "inspect", "--format", "{{index .RepoDigests 0}}", image).stdout.strip().split("@")[1]
        rows.check(found == wanted, "pull", found)
        absent = docker.run(*config, "pull", "-q", f"{private.host}/nowhere/busybox:latest", succeeds=False)
        rows.check(absent.returncode != 0 and "no cache rule covers" in absent.stderr, "a repository that no rule covers", absent.stderr)
        docker.run(*config, "login", "-u", "robot", "-p", private.robot, private.host)
        rows.check(docker.run(*config, "pull", "-q", image).returncode == 0, "a token", "")

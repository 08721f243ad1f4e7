"""skopeo, the library behind podman, buildah and CRI-O, through entrepot by rule target and as a mirror, plain and over TLS."""
import hashlib
import json
import os
import subprocess
import threading

from harness.private import PASSWORD, PrivateCache
from harness.registry import missing
from harness.story import Rows, skip

IMAGES = ("library/busybox:latest", "library/busybox:schema2", "demo/layers:40", "demo/chart:0.1.0", "library/debian:12-gzip")
LAB_LABPASS = "lab:$2y$05$abcdefghijklmnopqrstuunwThiVkQnzdeUoV8bM7i0nmoSiM1ccG"      # bcrypt, as htpasswd -B writes it


def skopeo(*arguments, succeeds=True):
    if missing("skopeo"):
        skip("skopeo is not installed")
    done = subprocess.run(["skopeo", "--insecure-policy", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert not succeeds or done.returncode == 0, f"skopeo {' '.join(arguments)}: {done.stderr}"
    return done


def manifest_digest(directory):
    with open(f"{directory}/manifest.json", "rb") as file:
        return "sha256:" + hashlib.sha256(file.read()).hexdigest()


def copy(source, target, *options):
    skopeo("copy", "-q", *options, f"docker://{source}", f"dir:{target}")
    return manifest_digest(target)


def test_every_kind_of_image_cold_hot_and_without_upstream(make_cache, registry, directory):
    cache = make_cache(registry, tag_ttl="1s")
    digests = {image: registry.digest_of(image) for image in IMAGES}
    with Rows() as rows:
        for turn in ("cold", "hot", "upstream stopped"):
            if turn == "upstream stopped":
                registry.stop()
            for number, image in enumerate(IMAGES):
                found = copy(f"127.0.0.1:{cache.port}/docker.io/{image}", f"{directory}/{turn.split()[0]}{number}", "--src-tls-verify=false")
                rows.check(found == digests[image], f"{turn} {image}", found)
        most = max(registry.blob_gets().values())
        rows.check(most == 1, "upstream GETs per blob", registry.blob_gets())


def test_all_architectures_of_an_index(make_cache, registry, directory):
    cache = make_cache(registry)
    found = copy(f"127.0.0.1:{cache.port}/docker.io/demo/multi:1", f"{directory}/all", "--all", "--src-tls-verify=false")
    assert found == registry.digest_of("demo/multi:1")
    for architecture in ("arm64", "amd64"):
        skopeo("--override-arch", architecture, "copy", "-q", "--src-tls-verify=false", f"docker://127.0.0.1:{cache.port}/docker.io/demo/multi:1",
               f"dir:{directory}/{architecture}")
    assert max(registry.blob_gets().values()) == 1


def test_twenty_at_once_on_a_cold_image(make_cache, registry, directory):
    cache = make_cache(registry)
    expected = registry.digest_of("demo/layers:40")
    found = [None] * 20

    def one(number):
        found[number] = copy(f"127.0.0.1:{cache.port}/docker.io/demo/layers:40", f"{directory}/{number}", "--src-tls-verify=false")

    clients = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert set(found) == {expected}
    assert max(registry.blob_gets().values()) == 1, registry.blob_gets()


def test_as_a_mirror_in_registries_conf(make_cache, registry, directory):
    cache = make_cache(registry)
    config = f"{directory}/registries.conf"
    with open(config, "w", encoding="utf-8") as file:
        file.write(f'[[registry]]\nprefix = "docker.io"\nlocation = "127.0.0.1:1"\n'
                   f'[[registry.mirror]]\nlocation = "127.0.0.1:{cache.port}/docker.io"\ninsecure = true\n')
    skopeo("--registries-conf", config, "copy", "-q", "docker://docker.io/library/busybox:latest", f"dir:{directory}/pulled")
    assert manifest_digest(f"{directory}/pulled") == registry.digest_of("library/busybox:latest")
    assert cache.metric("served_bytes_total") > 500_000, "it came through the cache"


def test_over_tls_with_a_private_authority(make_cache, registry, certificates, directory):
    chain, key = certificates.server()
    cache = make_cache(registry, tls={"certificate": chain, "private_key": key}, client_tls=certificates.client_context())
    trust = f"{directory}/trust"
    os.makedirs(trust)
    os.symlink(certificates.authority, f"{trust}/ca.crt")
    for turn in ("cold", "hot"):
        found = copy(f"localhost:{cache.port}/docker.io/demo/layers:40", f"{directory}/{turn}", f"--src-cert-dir={trust}")
        assert found == registry.digest_of("demo/layers:40")


def test_from_a_tls_upstream_with_a_password(make_cache, make_registry, certificates, directory):
    with open(f"{directory}/htpasswd", "w", encoding="ascii") as file:
        file.write(LAB_LABPASS + "\n")
    plain = make_registry()
    registry = make_registry(tls=certificates.server(), htpasswd=f"{directory}/htpasswd")
    cache = make_cache(registry, credentials=("lab", "labpass"), upstream={"ca_file": certificates.authority})
    found = copy(f"127.0.0.1:{cache.port}/docker.io/library/busybox:latest", f"{directory}/pulled", "--src-tls-verify=false")
    assert found == plain.digest_of("library/busybox:latest")


def test_tags_and_inspection(make_cache, registry):
    cache = make_cache(registry)
    here = f"docker://127.0.0.1:{cache.port}/docker.io"
    tags = json.loads(skopeo("list-tags", "--tls-verify=false", f"{here}/library/busybox").stdout)["Tags"]
    assert {"latest", "1", "schema2"} <= set(tags)
    digest = json.loads(skopeo("inspect", "--tls-verify=false", f"{here}/library/busybox:latest").stdout)["Digest"]
    assert digest == registry.digest_of("library/busybox:latest")


def test_what_is_not_there_and_what_may_not_be(make_cache, registry, directory):
    cache = make_cache(registry)
    absent = skopeo("copy", "--src-tls-verify=false", f"docker://127.0.0.1:{cache.port}/docker.io/library/absent:1", f"dir:{directory}/x", succeeds=False)
    assert absent.returncode and "unknown" in absent.stderr.lower(), absent.stderr
    copy(f"127.0.0.1:{cache.port}/docker.io/library/busybox:latest", f"{directory}/y", "--src-tls-verify=false")
    push = skopeo("copy", "--dest-tls-verify=false", f"dir:{directory}/y", f"docker://127.0.0.1:{cache.port}/docker.io/library/new:1", succeeds=False)
    assert push.returncode, "a push must be refused"


test_every_kind_of_image_cold_hot_and_without_upstream.limit_s = 240


def test_with_credentials(make_cache, registry, directory):
    private = PrivateCache(make_cache, registry, directory)
    image, wanted = f"docker://{private.host}/private/busybox:latest", registry.digest_of("library/busybox:latest")
    plain = "--src-tls-verify=false"
    with Rows() as rows:
        rows.check(skopeo("copy", "-q", plain, image, f"dir:{directory}/none", succeeds=False).returncode != 0, "a stranger", "")
        skopeo("copy", "-q", plain, f"docker://{private.host}/open/layers:40", f"dir:{directory}/open")
        rows.check(manifest_digest(f"{directory}/open") == registry.digest_of("demo/layers:40"), "what is for everybody, with no login", "")
        for name, secret in (("alice", PASSWORD), ("robot", private.robot)):
            skopeo("copy", "-q", plain, f"--src-creds={name}:{secret}", image, f"dir:{directory}/{name}")
            rows.check(manifest_digest(f"{directory}/{name}") == wanted, name, "")
        for credentials in ("alice:wrong-password", f"bobby:{PASSWORD}", f"nobody-here:{PASSWORD}"):
            rows.check(skopeo("copy", "-q", plain, f"--src-creds={credentials}", image, f"dir:{directory}/none", succeeds=False).returncode != 0, credentials.split(":")[0], "")
        authfile = f"--authfile={directory}/auth.json"
        skopeo("login", authfile, "--tls-verify=false", "-u", "alice", "-p", PASSWORD, private.host)
        skopeo("inspect", authfile, "--tls-verify=false", image)

"""Debian's docker-registry with real images. They are built and pushed once; each scenario starts a registry on that storage."""
import fcntl
import http.client
import os
import re
import shutil
import subprocess
import sys
import tempfile

from .cache import ROOT
from .origin import free_port
from .service import Service

STORAGE = f"{ROOT}/build/images-registry"
MAKING_S = 600          # mmdebstrap alone may wait five minutes for a mirror that does not answer
ACCEPT = ", ".join(["application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
                    "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json"])


def storage_is_filled():
    return os.path.exists(f"{STORAGE}/filled")


def fill_storage():
    """Builds the images and pushes them, once. How long that takes is the Debian mirror's affair, so it comes before the scenarios and their
    time limits (run.py); one that is told by itself some other way does it on the way. Raises with what make-images said."""
    os.makedirs(STORAGE, exist_ok=True)
    with open(f"{STORAGE}/lock", "w", encoding="ascii") as lock, tempfile.TemporaryDirectory(prefix="entrepot-images-") as directory:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if storage_is_filled():
            return
        registry = DockerRegistry(directory).start()
        try:
            made = subprocess.run([sys.executable, "-B", f"{ROOT}/tools/make-images", f"127.0.0.1:{registry.port}"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=MAKING_S, check=False)
        finally:
            registry.stop()
        if made.returncode:
            raise AssertionError(f"make-images ended with {made.returncode}:\n{made.stdout}")
        open(f"{STORAGE}/filled", "w", encoding="ascii").close()


class DockerRegistry(Service):
    """`htpasswd` and `token` (realm, service, issuer, certificates) are who may read; `storage` is another one than that of tools/make-images."""

    def __init__(self, directory, login_server="docker.io", tls=None, htpasswd=None, token=None, storage=STORAGE):
        self.login_server = login_server
        self.port = free_port()
        self.scheme = "https" if tls else "http"
        self.host = "localhost" if tls else "127.0.0.1"
        lines = ["version: 0.1", "log: {level: error}", f"storage: {{filesystem: {{rootdirectory: {storage}}}}}",
                 "http:", f"  addr: 127.0.0.1:{self.port}", "  secret: scenario"]
        if tls:
            lines.append(f"  tls: {{certificate: {tls[0]}, key: {tls[1]}}}")
        if htpasswd:
            lines.append(f"auth: {{htpasswd: {{realm: lab, path: {htpasswd}}}}}")
        if token:
            realm, service, issuer, certificates = token
            lines.append(f"auth: {{token: {{realm: '{realm}', service: {service}, issuer: {issuer}, rootcertbundle: {certificates}}}}}")
        config = f"{directory}/registry{self.port}.yml"
        with open(config, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        super().__init__("docker-registry", ["docker-registry", "serve", config], f"{directory}/registry{self.port}.log", self._answers)

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.port}"

    def _answers(self):
        return self._ask("GET", "/v2/")[0] in (200, 400, 401)

    def _ask(self, method, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, headers={"Accept": ACCEPT})
            response = connection.getresponse()
            response.read()
            return response.status, response.headers
        except http.client.HTTPException:
            return 400, {}
        finally:
            connection.close()

    def digest_of(self, image):
        repository, tag = image.rsplit(":", 1)
        status, headers = self._ask("HEAD", f"/v2/{repository}/manifests/{tag}")
        assert status == 200, f"the registry answers {status} for {image}"
        return headers["Docker-Content-Digest"]

    def blob_gets(self):
        """{digest: GETs} from its access log: the witness that is not ours."""
        gets = {}
        for digest in re.findall(r'"GET /v2/\S+/blobs/(sha256:[0-9a-f]{64})\S* HTTP/1\.[01]" 20[06]', self.log()):
            gets[digest] = gets.get(digest, 0) + 1
        return gets


def copy_image(source, target):
    """Between two registries, "127.0.0.1:PORT/NAME:TAG", as it is."""
    subprocess.run(["skopeo", "--insecure-policy", "copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false",
                    f"docker://{source}", f"docker://{target}"], check=True, capture_output=True, stdin=subprocess.DEVNULL)


def missing(*programs):
    return [program for program in programs if not shutil.which(program) and not os.path.exists(f"/usr/sbin/{program}")]

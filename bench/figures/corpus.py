"""What is pulled: blobs of random bytes and manifests of exact sizes, as the OCI layout that rate_upstream serves."""
import hashlib
import json
import os
import subprocess
import sys

from peers.registry import DockerRegistry

TOOLS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))), "tools")
BLOCK = 1 << 20


class Corpus:
    """ROOT/blobs/sha256/HEX and ROOT/tags/REPOSITORY/TAG. Blobs are kept between runs; names.json remembers which is which."""

    def __init__(self, root):
        self.root = root
        self.blobs = os.path.join(root, "blobs", "sha256")
        self.names_path = os.path.join(root, "names.json")
        os.makedirs(self.blobs, exist_ok=True)
        self.names = {}
        if os.path.exists(self.names_path):
            with open(self.names_path) as file:
                self.names = json.load(file)

    def path(self, digest):
        return os.path.join(self.blobs, digest.removeprefix("sha256:"))

    def size(self, digest):
        return os.stat(self.path(digest)).st_size

    def blob(self, name, size):
        """The digest of the random blob of that name, made when missing."""
        key = f"{name}:{size}"
        digest = self.names.get(key)
        if digest and os.path.exists(self.path(digest)) and self.size(digest) == size:
            return digest
        return self._remember(key, self._write_random(size))

    def touch(self, digests):
        """Brings blobs into memory and has the CPU read every byte of them. Pages that came from the disk and left by sendfile were never touched, and on a
        virtual machine the first touch costs 2 s/GB (the host's page tables): whoever copies them first would pay it."""
        into = bytearray(BLOCK)
        for digest in digests:
            with open(self.path(digest), "rb", buffering=0) as file:
                while file.readinto(into):
                    pass

    def manifest(self, name, size, layers, repository="app", tag=None):
        """An OCI manifest of exactly `size` bytes (filled up by an annotation) that refers to a small config and to `layers`."""
        config = self.blob(f"{name}-config", 1500)
        digest = self._write_bytes(self._manifest_text(config, layers, size))
        self._tag(repository, tag or name, digest)
        return digest

    def adopt_images(self, layout, say):
        """Takes over the real images of tools/make-images, built into `layout` when they are not there: blobs as links,
        references as tags."""
        if not os.path.exists(os.path.join(layout, "index.json")):
            say("making images (a minute, once)")
            with DockerRegistry(layout + "-registry", proxy=False) as registry:  # make-images pushes what it makes; only its layout is of use here
                subprocess.run([sys.executable, os.path.join(TOOLS, "make-images"), f"127.0.0.1:{registry.port}", "--cache", layout],
                               check=True, stdout=subprocess.DEVNULL, timeout=900)
        for name in os.listdir(os.path.join(layout, "blobs", "sha256")):
            if not os.path.exists(os.path.join(self.blobs, name)):
                os.link(os.path.join(layout, "blobs", "sha256", name), os.path.join(self.blobs, name))
        with open(os.path.join(layout, "index.json")) as file:
            entries = json.load(file)["manifests"]
        for entry in entries:
            repository, tag = entry["annotations"]["org.opencontainers.image.ref.name"].rsplit(":", 1)
            self._tag(repository, tag, entry["digest"])

    def _tag(self, repository, tag, digest):
        folder = os.path.join(self.root, "tags", repository)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, tag), "w") as file:
            file.write(digest + "\n")

    def _manifest_text(self, config, layers, size):
        def descriptor(media_type, digest):
            return {"mediaType": media_type, "size": self.size(digest), "digest": digest}
        document = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": descriptor("application/vnd.oci.image.config.v1+json", config),
                    "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer) for layer in layers],
                    "annotations": {"filler": ""}}
        def encode():
            return json.dumps(document, separators=(",", ":")).encode()
        document["annotations"]["filler"] = "x" * max(0, size - len(encode()))
        return encode()

    def _write_random(self, size):
        sha = hashlib.sha256()
        partial = os.path.join(self.root, "partial")
        with open(partial, "wb") as file:
            for at in range(0, size, BLOCK):
                block = os.urandom(min(BLOCK, size - at))
                sha.update(block)
                file.write(block)
        digest = "sha256:" + sha.hexdigest()
        os.rename(partial, self.path(digest))
        return digest

    def _write_bytes(self, content):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if not os.path.exists(self.path(digest)):
            with open(self.path(digest), "wb") as file:
                file.write(content)
        return digest

    def _remember(self, key, digest):
        self.names[key] = digest
        with open(self.names_path + ".new", "w") as file:
            json.dump(self.names, file, indent=1, sort_keys=True)
        os.rename(self.names_path + ".new", self.names_path)
        return digest

"""docs/WALKTHROUGH.md, walked: each command is run against the real server, and shows what the page says.

Played on loopback are Docker Hub (its images and its tokens), a Key Vault, and what Azure does for an identity. The private registry of the identity is a
real one with a real image, and checks by itself what it is shown."""
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

from harness.azure import ISSUER, KeyVault, Metadata, TokenService
from harness.cache import BINARY
from harness.command import environment_of, succeeds
from harness.page import Page
from harness.registry import ACCEPT, DockerRegistry, copy_image, missing
from harness.service import die_with_parent
from harness.story import skip
from harness.upstream import Bearer, TokenServer, problem

PRIVATE = "upstreamregistry.azurecr.io"


class Walker:
    """Runs a page's commands as somebody on the server's machine would, but in directories of this test."""

    def __init__(self, cache, etc, images, world, azure):
        self.cache = cache
        self.etc = etc              # as long as the name that it stands for, so that tables look the same
        self.images = images        # repository -> digest of its image
        self.world = world          # address -> the name that it has in the world
        self.azure = azure          # what a command of `az` does
        self.login = {}
        self.programs = f"{cache.directory}/bin"
        os.makedirs(self.programs)
        os.symlink(BINARY, f"{self.programs}/entrepot")

    def run(self, command):
        if command.startswith("docker pull "):
            return self.pull(command.removeprefix("docker pull 127.0.0.1:5000/"))
        if command.startswith("az "):
            return self.azure(command)
        if logged_in := re.match(r"echo (\S+) \| docker login -u (\S+)", command):
            password, name = logged_in.groups()
            self.login = {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}
            return "Login Succeeded"
        environment = environment_of(self.cache, PATH=f"{self.programs}:{os.environ['PATH']}")
        done = subprocess.run(["sh", "-c", command.replace("/etc/entrepot", self.etc)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, check=False, env=environment, cwd=self.cache.directory, preexec_fn=die_with_parent)
        return self.named(done.stdout.replace(self.etc, "/etc/entrepot"))

    def named(self, text):
        for address, name in self.world.items():
            text = text.replace(address, name)
        return text

    def pull(self, image):
        """What docker asks for, until all of it is kept; its own words are none of ours."""
        repository, tag = image.split(":")
        manifest = self.cache.get(f"/v2/{repository}/manifests/{tag}", {**self.login, "Accept": ACCEPT})
        assert manifest.digest() == self.images[repository], (image, manifest, manifest.body)
        document = json.loads(manifest.body)
        for blob in (document["config"], *document["layers"]):
            assert self.cache.get(f"/v2/{repository}/blobs/{blob['digest']}", self.login).digest() == blob["digest"], image
        end = time.monotonic() + 20
        while self.stored(image)["blobs"]["missing"]:
            assert time.monotonic() < end, self.stored(image)
            time.sleep(0.02)
        return ""

    def stored(self, image):
        return succeeds(self.cache, "cache", "explain", image, "-o", "json").json()["stored"]


class HubTokens(TokenServer):
    """Sells tokens to everybody, and looks at a login only when somebody brings one."""

    def respond(self, request):
        if request.header("authorization") and self.basic.refuses(request):
            return problem(401, "UNAUTHORIZED")
        basic, self.basic = self.basic, None
        try:
            return super().respond(request)
        finally:
            self.basic = basic


class Azure:
    """An identity, what it may do, and where it is shown: `az` gives it its rights."""

    def __init__(self, story, certificates):
        certificate, key = certificates.signer()
        self.metadata = story.origin(Metadata())
        self.vault = story.origin(KeyVault(self.metadata, {"usernamesecret": "corp-robot", "passwordsecret": "correct-horse"}))
        self.tokens = story.origin(TokenService(self.metadata, PRIVATE, certificate=certificate, key=key))
        self.registry, self.digest = self.private_registry(story, (self.tokens.realm, PRIVATE, ISSUER, certificate))

    @staticmethod
    def private_registry(story, token):
        """A docker-registry with one image in it, that wants a token of Azure's for everything."""
        directory = story.fixture("directory")
        public = story.registry()
        open_to_all = DockerRegistry(directory, storage=f"{directory}/private").start()
        try:
            copy_image(f"127.0.0.1:{public.port}/library/busybox:latest", f"127.0.0.1:{open_to_all.port}/myapp:latest")
            digest = open_to_all.digest_of("myapp:latest")
        finally:
            open_to_all.stop()
        return story.service(DockerRegistry(directory, login_server=PRIVATE, token=token, storage=f"{directory}/private")), digest

    @property
    def config(self):
        return {"metadata": self.metadata.url, "arc_tokens": "/nonexistent", "registries": ["127.0.0.1"], "key_vault": self.vault.url}

    def run(self, command):
        if command.startswith("az keyvault set-policy "):
            self.vault.may_get = True
        elif command.startswith("az role assignment create "):
            self.tokens.readable = re.search(r"/repositories/(\w+)", command)[1]
        elif command.startswith("az role assignment delete "):
            self.tokens.readable = None
        else:
            assert command.startswith(("az identity create ", "az identity delete ")), command
            self.metadata.has_identity = "create" in command
        return ""


def test_the_page_is_what_happens(story, make_cache, make_upstream, certificates):
    if absent := missing("docker-registry", "skopeo"):
        skip(f"not installed: {', '.join(absent)}")
    hub_tokens = story.origin(HubTokens("corp-robot", "correct-horse"))
    hub = make_upstream(login_server="docker.io", guard=Bearer(hub_tokens))
    azure = Azure(story, certificates)
    images = {"hello-world": "library/hello-world", "ubuntu": "library/ubuntu", "app": "corp/app"}
    images = {name: hub.offers_image(repository=repository, tag="latest").manifest.digest for name, repository in images.items()} | {"myapp": azure.digest}
    cache = make_cache(hub, azure.registry, rules=[], server={"default_rules": False}, identity=azure.config,
                       upstream={"realms": [f"{hub_tokens.url}/token", azure.tokens.realm]})
    cache.secrets += ["correct-horse", "battery-staple"]     # also of the account
    world = {hub.url: "https://registry-1.docker.io", hub_tokens.url: "https://auth.docker.io", azure.registry.url: f"https://{PRIVATE}",
             azure.tokens.url: f"https://{PRIVATE}", azure.vault.url: "https://mykeyvault.vault.azure.net", azure.metadata.url: "http://169.254.169.254"}
    etc = tempfile.mkdtemp(prefix="", dir="/tmp")
    try:
        assert len(etc) == len("/etc/entrepot")
        Page("WALKTHROUGH.md").walk(Walker(cache, etc, images, world, azure.run).run)
    finally:
        shutil.rmtree(etc)
    cache.secrets += [*azure.metadata.given, *azure.tokens.given]
    came = [line for line in azure.registry.log().splitlines() if '"GET /v2/myapp/' in line and '" 200 ' in line]
    assert len(came) >= 3, azure.registry.log()[-3000:]

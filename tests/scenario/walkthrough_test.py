"""docs/WALKTHROUGH.md, walked: each command is run against the real server, and shows what the page says."""
import base64
import os
import re
import shutil
import subprocess
import tempfile

from harness.cache import BINARY
from harness.command import environment_of
from harness.page import Page
from harness.service import die_with_parent
from harness.upstream import Basic


class Walker:
    """Runs a page's commands as somebody on the server's machine would, but in directories of this test."""

    def __init__(self, cache, etc, images):
        self.cache = cache
        self.etc = etc              # as long as the name that it stands for, so that tables look the same
        self.images = images
        self.login = {}
        self.programs = f"{cache.directory}/bin"
        os.makedirs(self.programs)
        os.symlink(BINARY, f"{self.programs}/entrepot")

    def run(self, command):
        if command.startswith("docker pull "):
            return self.pull(command.removeprefix("docker pull 127.0.0.1:5000/"))
        if logged_in := re.match(r"echo (\S+) \| docker login -u (\S+)", command):
            password, name = logged_in.groups()
            self.login = {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}
            return "Login Succeeded"
        environment = environment_of(self.cache, PATH=f"{self.programs}:{os.environ['PATH']}")
        done = subprocess.run(["sh", "-c", command.replace("/etc/entrepot", self.etc)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, check=False, env=environment, cwd=self.cache.directory, preexec_fn=die_with_parent)
        return done.stdout.replace(self.etc, "/etc/entrepot")

    def pull(self, image):
        """What docker asks for; its own words are none of ours."""
        repository, tag = image.split(":")
        wanted = self.images[repository]
        assert self.cache.get(f"/v2/{repository}/manifests/{tag}", self.login).digest() == wanted.manifest.digest, image
        for blob in wanted.blobs:
            assert self.cache.get(f"/v2/{repository}/blobs/{blob.digest}", self.login).digest() == blob.digest, image
        return ""


def test_the_page_is_what_happens(make_cache, make_upstream):
    hub = make_upstream(login_server="docker.io", guard=Open("library/ubuntu", Basic("corp-robot", "correct-horse")))
    images = {"hello-world": hub.offers_image(repository="library/hello-world", tag="latest"), "ubuntu": hub.offers_image(repository="library/ubuntu", tag="latest"),
              "app": hub.offers_image(repository="corp/app", tag="latest")}
    cache = make_cache(hub, rules=[], server={"default_rules": False})
    cache.secrets += ["correct-horse", "battery-staple"]     # also of the account
    etc = tempfile.mkdtemp(prefix="", dir="/tmp")
    try:
        assert len(etc) == len("/etc/entrepot")
        Page("WALKTHROUGH.md").walk(Walker(cache, etc, images).run)
    finally:
        shutil.rmtree(etc)


class Open:
    """Asks for credentials only where somebody brings them: Docker Hub is for everybody, too."""

    def __init__(self, repository, guard):
        self.repository, self.guard = repository, guard

    def refuses(self, request):
        return self.guard.refuses(request) if self.repository in request.path and request.header("authorization") else None

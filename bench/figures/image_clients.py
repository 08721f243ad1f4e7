"""The clients that pull whole images: skopeo, and a containerd of our own. Both on the clients' core."""
import os
import shutil
import subprocess
import time

import machine
from process import Process

TIMEOUT_S = 120


def skopeo_pull(registry, reference, folder):
    """Seconds of a whole pull into a folder that is empty before."""
    target = os.path.join(folder, "skopeo")
    shutil.rmtree(target, ignore_errors=True)
    return _timed(["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{registry}/{reference}", f"dir:{target}"])


class Containerd(Process):
    """A daemon with its own root and socket; the content of every pull is removed before the next."""
    name = "containerd"
    CONFIG = """version = 2
root = "{home}/root"
state = "{home}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{home}/socket"
"""

    def __init__(self, home):
        shutil.rmtree(home, ignore_errors=True)
        os.makedirs(home)
        self.socket = os.path.join(home, "socket")
        config = os.path.join(home, "config.toml")
        with open(config, "w") as file:
            file.write(self.CONFIG.format(home=home))
        self.spawn(["containerd", "--config", config], [machine.CLIENT_CPU], os.path.join(home, "log"))
        end = time.monotonic() + 20
        while self._ctr("version").returncode != 0:
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("containerd does not answer")
            time.sleep(0.1)

    def pull(self, registry, reference):
        """Seconds until all content is in its store; unpacking is the client's own business and left out."""
        name = f"{registry}/{reference}"
        try:
            return _timed(["ctr", "-a", self.socket, "content", "fetch", "--plain-http", name])
        finally:
            self._ctr("images", "rm", "--sync", name)

    def _ctr(self, *words):
        return subprocess.run(["ctr", "-a", self.socket, *words], capture_output=True, text=True, timeout=TIMEOUT_S)


def _timed(command):
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, preexec_fn=machine.on_cpu(machine.CLIENT_CPU))
    took = time.monotonic() - start
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()[-300:]}")
    return took

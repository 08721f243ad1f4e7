"""What every contestant is to the rows: a server with one port, an empty store of its own, on its own core."""
import os
import shutil

import machine
from process import Process, free_port, wait_for_port


class Contestant(Process):
    """Started by its constructor; its store is new unless `keep`. With `tls` (paths of certificate and key) its port speaks TLS only.
    Subclasses write their configuration and return the command in `prepare`; why each setting is there stands beside it."""
    name = ""        # on the command line and in the results
    title = ""       # in tables
    program = ""     # what must be installed
    caches = True    # fetches what it does not have
    speaks_tls = False
    on_disk = True   # keeps blobs in files, so that cold reads exist
    user = None      # of the process, where the program refuses to be root

    def __init__(self, home, upstream=None, cpus=(machine.SERVER_CPU,), keep=False, tls=None, **options):
        self.home, self.tls, self.cpus, self.upstream = home, tls, list(cpus), upstream
        self.upstream_port = upstream.port if upstream else 9  # nobody listens there
        if not keep:
            shutil.rmtree(home, ignore_errors=True)
        os.makedirs(home, exist_ok=True)
        self.port = self._port(keep)
        command, environment = self.prepare(**options)
        if self.user:
            self._give_away(self.user)
        self.spawn(command, self.cpus, self.path("output"), environment, self.user)
        self.wait_until_ready()

    def again(self, **options):
        """The same server, started anew on what it kept."""
        self.stop()
        return type(self)(self.home, self.upstream, self.cpus, keep=True, tls=self.tls, **options)

    def _port(self, keep):
        """A kept store comes with its port: some caches know their bodies by a URL that has it."""
        if keep and os.path.exists(self.path("port")):
            with open(self.path("port")) as file:
                return int(file.read())
        port = free_port()
        self.write("port", str(port))
        return port

    def prepare(self):
        raise NotImplementedError

    def wait_until_ready(self):
        wait_for_port(self.port, self.process, self.name, self.path("output"))

    def path(self, *parts):
        return os.path.join(self.home, *parts)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def url(self, kind, reference, repository="bench.test/app"):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/v2/{repository}/{kind}/{reference}"

    def offer(self, kind, reference, path):
        """Puts a file in place for a server that does not fetch."""

    def settled(self, blobs):
        """Waits until so many pulled blobs (manifests count) are kept, where a server says so."""

    def _give_away(self, user):
        for folder, _, files in os.walk(self.home):
            shutil.chown(folder, user)
            for file in files:
                shutil.chown(os.path.join(folder, file), user)

    @classmethod
    def missing(cls):
        """Why this contestant cannot take part, or nothing."""
        return "" if shutil.which(cls.program) else f"{cls.program} is not installed"

"""The server under test: the real binary with a generated configuration and a store of its own."""
import dataclasses
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time

from .client import Broken, Connection, Pull, Reply
from .origin import free_port
from .service import die_with_parent
from .upstream import Offer

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BINARY = os.environ.get("ENTREPOT", f"{ROOT}/build/entrepot")
START_TIMEOUT_S = 30         # a disk that others use as well may take seconds for one sync
CALM_TIMEOUT_S = 10
STOP_TIMEOUT_S = 45         # it lets running answers finish for 30 s


def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    return str(value) if isinstance(value, (int, float)) else json.dumps(value)


def toml_table(name, entries):
    return f"{name}\n" + "".join(f"{key} = {toml(value)}\n" for key, value in entries.items() if value is not None) + "\n"


@dataclasses.dataclass
class Settings:
    """A configuration in the words of the configuration file; see docs/OPERATING.md."""
    server: dict = dataclasses.field(default_factory=dict)
    tls: dict = dataclasses.field(default_factory=dict)
    store: dict = dataclasses.field(default_factory=dict)
    upstreams: list = dataclasses.field(default_factory=list)
    credential_sets: list = dataclasses.field(default_factory=list)
    rules: list = dataclasses.field(default_factory=list)
    vault: dict = dataclasses.field(default_factory=dict)
    identity: dict = dataclasses.field(default_factory=dict)

    def text(self):
        parts = [toml_table("[server]", self.server), toml_table("[store]", self.store)]
        parts += [toml_table(f"[{name}]", table) for name in ("tls", "vault", "identity") if (table := getattr(self, name))]
        parts += [toml_table("[[upstream]]", one) for one in self.upstreams]
        parts += [toml_table("[[credential_set]]", one) for one in self.credential_sets]
        parts += [toml_table("[[cache_rule]]", one) for one in self.rules]
        return "".join(parts)


def one_to_one(upstreams, directory, rules=None, tls=None, capacity=None, tag_ttl=None, credentials=None, shards=2,
               server=None, upstream=None, rule=None, store=None, identity=None):
    """The usual settings: every upstream under its own name, `upstream.test/*` as target and source."""
    settings = Settings(server={"shards": shards, "default_login_server": upstreams[0].login_server if upstreams else None, **(server or {})},
                        tls=tls or {}, store={"path": f"{directory}/store", "capacity": capacity or "4GiB", **(store or {})},
                        identity=identity or {})
    for number, one in enumerate(upstreams):
        settings.upstreams.append({"login_server": one.login_server, "endpoints": [one.url], "allow_private": True, **(upstream or {})})
        name = f"rule{number}"
        settings.rules.append({"name": name, "source": f"{one.login_server}/*", "target": f"{one.login_server}/*",
                               "credential_set": f"secrets{number}" if credentials else None, "pull": ["anonymous"] if credentials else None,
                               "tag_ttl": tag_ttl, **(rule or {})})
        if credentials:
            for key, value in zip(("username", "password"), credentials):
                with open(f"{directory}/{key}{number}", "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
                    file.write(value)
            settings.credential_sets.append({"name": f"secrets{number}", "login_server": one.login_server,
                                             "username": f"file:{directory}/username{number}", "password": f"file:{directory}/password{number}"})
    if rules is not None:
        settings.rules = rules
    return settings


class Cache:
    def __init__(self, settings, directory, tls=None, environment=None, limits=None):
        self.directory = directory
        self.port = free_port()
        self.admin_port = free_port()
        admin = f"127.0.0.1:{self.admin_port}"
        more = settings.server.pop("admin_too", [])  # further places of the admin listener
        settings.server = {"listen": [f"127.0.0.1:{self.port}"], "admin": [admin, *more] if more else admin, **settings.server}
        self.settings = settings
        self.store = settings.store["path"]
        self.login_server = settings.upstreams[0]["login_server"] if settings.upstreams else None
        self.tls = tls                  # the client's context when the listener speaks TLS
        self.environment = {**os.environ, **(environment or {})}
        self.limits = limits            # called in the child before it starts
        self.process = None
        self.base = {}
        self.secrets = []               # texts that may appear nowhere
        self.expect_death = False
        self.log_path = f"{directory}/entrepot.log"

    # ---- life

    def start(self, ready=True):
        config = f"{self.directory}/entrepot.toml"
        with open(config, "w", encoding="utf-8") as file:
            file.write(self.settings.text())
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([BINARY, "serve", "--config", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, preexec_fn=self._in_child, cwd=self.directory)
        if ready:
            self._until_ready()
            self.base = self.gauges()
        return self

    def _in_child(self):
        die_with_parent()
        if self.limits:
            self.limits()

    def _until_ready(self):
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            assert self.process.poll() is None, f"entrepot ended with {self.process.returncode} while starting:\n{self.log()[-3000:]}"
            try:
                if self.admin("/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"entrepot is not ready after {START_TIMEOUT_S} s:\n{self.log()[-3000:]}")

    def kill(self):
        """As a power switch does to a process: no goodbye."""
        self.process.kill()
        self.process.wait()
        return self

    def stop(self, timeout=STOP_TIMEOUT_S, at_once=False):
        """Asks it to end, and returns its exit status. Running answers may finish, unless a second signal says at once."""
        self.process.terminate()
        if at_once:
            time.sleep(0.1)
            self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"entrepot did not end within {timeout} s of SIGTERM:\n{self.log()[-3000:]}") from None

    def restart(self):
        self.stop()
        return self.start()

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    # ---- asking it

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def connect(self, **options):
        return Connection(self.address, tls=self.tls, server_name="localhost" if self.tls else None, **options)

    def path_of(self, what, login_server=None):
        """The path of an offer or of an upstream path, addressed by the rule's target."""
        path = what.path if isinstance(what, Offer) else what
        server = login_server or self.login_server
        return path.replace("/v2/", f"/v2/{server}/", 1)

    def get(self, what, headers=(), method="GET", **options):
        """One request on a connection of its own; paths are taken as they are, offers by the rule's target.

        A connection that ends before any head is a reply of status 0, so that tables can go on to their next row."""
        path = what if isinstance(what, str) else self.path_of(what)
        with self.connect(**options) as connection:
            try:
                return connection.exchange(method, path, {"Connection": "close", **dict(headers)})
            except (Broken, ConnectionError) as error:
                return Reply(0, str(error), [])

    def keeps(self, *offers, timeout=30):
        """Waits until these are stored. The last bytes leave when the digest has matched; the disk may follow a moment later."""
        end = time.monotonic() + timeout
        for offer in offers:
            while (reply := self.get(offer, {"Range": "bytes=0-0"})).cache != "hit" or not self.blob_file(offer):
                assert time.monotonic() < end, f"{offer.path} is not stored after {timeout} s: {reply}"
                time.sleep(0.01)
        return self

    def fetches_again(self, offer, timeout=15):
        """Pulls until the body is whole: an upstream that failed is asked rarely for a while."""
        end = time.monotonic() + timeout
        while self.get(offer).digest() != offer.digest:
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
        return True

    def head(self, what, headers=(), **options):
        return self.get(what, headers, method="HEAD", **options)

    def tag(self, image_or_repository, tag, headers=(), method="GET"):
        repository = getattr(image_or_repository, "manifest", image_or_repository)
        repository = getattr(repository, "repository", repository)
        accept = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
                            "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"}
        return self.get(self.path_of(f"/v2/{repository}/manifests/{tag}"), {**accept, **dict(headers)}, method)

    def pull(self, what, headers=None, rate=None, leave_after=None, receive_buffer=None):
        """A GET in the background."""
        path = what if isinstance(what, str) else self.path_of(what)
        options = {"receive_buffer": receive_buffer, "timeout": 60}
        return Pull(lambda: self.connect(**options), path, headers, rate, leave_after)

    def raw(self, data, timeout=5, half_close=False):
        """Sends bytes as they are, returns all that comes until the server closes (or the time is up)."""
        with self.connect(timeout=timeout) as connection:
            try:
                connection.send(data)
                if half_close:
                    connection.socket.shutdown(socket.SHUT_WR)
                return connection.rest(timeout)
            except (BrokenPipeError, ConnectionResetError):
                return connection.pending

    def admin(self, path, method="GET", body=None, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", "replace")
        finally:
            connection.close()

    # ---- what it says about itself

    def metrics(self):
        """[(name, labels, value)] of /metrics."""
        status, text = self.admin("/metrics")
        assert status == 200, f"/metrics answers {status}"
        series = []
        for line in text.splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})?\s+(\S+)", line) if line and not line.startswith("#") else None
            if match:
                series.append((match[1], dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")), float(match[3])))
        return series

    def metric(self, name, **labels):
        """The sum over all series of that name with these labels; the prefix may be left out."""
        full = name if name.startswith("entrepot_") else f"entrepot_{name}"
        return sum(value for key, have, value in self.metrics() if key == full and all(have.get(k) == v for k, v in labels.items()))

    def until_metric(self, name, value, timeout=10, **labels):
        end = time.monotonic() + timeout
        while (now := self.metric(name, **labels)) < value:
            assert time.monotonic() < end, f"entrepot_{name}{labels or ''} is {now} after {timeout} s, not {value}"
            time.sleep(0.02)
        return now

    def gauges(self):
        """What must return to where it was when nobody asks for anything."""
        open_sockets = self.sockets()
        return {"connections": self.metric("connections"), "client sockets": open_sockets}

    def sockets(self):
        """TCP sockets of clients that the server still holds, whatever it says itself."""
        inodes = set()
        for entry in os.listdir(f"/proc/{self.process.pid}/fd"):
            try:
                target = os.readlink(f"/proc/{self.process.pid}/fd/{entry}")
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        with open(f"/proc/{self.process.pid}/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        local = f":{self.port:04X}"
        return sum(1 for row in rows if row[1].endswith(local) and row[3] != "0A" and row[9] in inodes)

    def memory_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))

    # ---- the store on disk, seen from outside

    def blob_file(self, offer):
        for volume in self.settings.store.get("volumes") or [self.store]:
            path = f"{volume}/blobs/{offer.digest.replace(':', '/')}"
            if os.path.exists(path):
                return path
        return None

    def blob_files(self):
        for volume in self.settings.store.get("volumes") or [self.store]:
            for directory, _, names in os.walk(f"{volume}/blobs"):
                for name in names:
                    yield f"{directory}/{name}"

    def store_bytes(self):
        return sum(os.stat(path).st_blocks * 512 for path in self.blob_files())

    # ---- promises kept at the end of every story

    def check_calm(self):
        """Alive, every client connection given back, nothing asked of the kernel that the ring may not ask, no secret written down."""
        assert self.alive, f"entrepot ended with {self.process.returncode}:\n{self.log()[-4000:]}"
        end = time.monotonic() + CALM_TIMEOUT_S
        while (now := self.gauges()) != self.base:
            assert time.monotonic() < end, f"not back to base after {CALM_TIMEOUT_S} s: {now}, at the start {self.base}"
            time.sleep(0.05)
        metrics = self.admin("/metrics")[1]
        refused = self.metric("ring_refusals_total")
        assert refused == 0, f"the kernel refused {refused:.0f} requests that the ring's own allow-list does not hold:\n{self.log()[-3000:]}"
        for secret in self.secrets:
            assert secret not in self.log(), "a secret stands in the log"
            assert secret not in metrics, "a secret stands in the metrics"

    def check_store(self):
        for path in self.blob_files():
            algorithm, name = path.rsplit("/", 2)[1:]
            if algorithm not in ("sha256", "sha512") or not re.fullmatch(r"[0-9a-f]{64,128}", name):
                continue
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, algorithm).hexdigest()
            assert found == name, f"{path} holds {algorithm}:{found}"

    def close(self, check=True):
        try:
            if check and not self.expect_death:
                self.check_calm()
                status = self.stop()
                assert status == 0, f"entrepot ended with {status} after SIGTERM:\n{self.log()[-3000:]}"
                self.check_store()
        finally:
            if self.alive:
                self.kill()
            shutil.rmtree(self.store, ignore_errors=True)

"""The demo itself; tools/demo installs and builds before it starts this."""
import argparse
import concurrent.futures
import dataclasses
import hashlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BINARY = os.environ.get("ENTREPOT", f"{ROOT}/build/entrepot")
CROWD = 20
START_TIMEOUT_S = 20
PULL_TIMEOUT_S = 300
SPACE_NEEDED = 4 << 30
ACCEPT = ", ".join(["application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
                    "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json"])


def say(text=""):
    print(text, flush=True)


def human(size):
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size:.0f} B"


def port_near(wanted):
    """`wanted` if it is free, else any free one: the commands below look best with the usual port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)     # connections of a run before may still be fading
            try:
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                continue
    sys.exit("demo: no free port on loopback")


def ask(port, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


class Process:
    """Something we start and therefore may stop. It survives us only when asked to."""

    def __init__(self, name, arguments, log, probe):
        self.name, self.arguments, self.log, self.probe = name, arguments, log, probe
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                if self.probe():
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        tail = open(self.log, encoding="utf-8", errors="replace").read()[-2000:]
        self.stop()
        sys.exit(f"demo: {self.name} did not start:\n{tail}")

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Registry(Process):
    """Debian's docker-registry. Its access log is the witness for what the upstream was asked."""

    def __init__(self, directory):
        self.port = port_near(0)
        self.access_log = f"{directory}/registry.log"
        os.makedirs(f"{directory}/registry")
        config = f"{directory}/registry.yml"
        with open(config, "w", encoding="utf-8") as file:
            file.write("version: 0.1\nlog: {level: error}\nstorage:\n  filesystem: {rootdirectory: %s/registry}\n"
                       "http: {addr: '127.0.0.1:%d', secret: demo}\n" % (directory, self.port))
        super().__init__("docker-registry", ["docker-registry", "serve", config], self.access_log, lambda: ask(self.port, "/v2/")[0] == 200)

    def position(self):
        return os.path.getsize(self.access_log)

    def gets_since(self, position):
        """[(path, bytes)] of the GETs of blobs and manifests that were answered since then."""
        with open(self.access_log, "rb") as file:
            file.seek(position)
            text = file.read().decode("utf-8", "replace")
        found = re.findall(r'"GET (/v2/\S+/(?:blobs|manifests)/\S+) HTTP/1\.[01]" 20[06] (\d+)', text)
        return [(path, int(size)) for path, size in found]


class Entrepot(Process):
    def __init__(self, directory, upstream_port):
        self.port, self.admin_port = port_near(5000), port_near(5001)
        self.config = f"{directory}/entrepot.toml"
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f'''# The registry on loopback plays docker.io here; without this [[upstream]] the real one would be asked.
[server]
listen = ["127.0.0.1:{self.port}"]
admin = "127.0.0.1:{self.admin_port}"
[store]
path = "{directory}/store"
capacity = "2GiB"
[[upstream]]
login_server = "docker.io"
endpoints = ["http://127.0.0.1:{upstream_port}"]
allow_private = true
[[cache_rule]]
name = "hub"
source = "docker.io/*"
target = "docker.io/*"
tag_ttl = "2s"
''')
        super().__init__("entrepot", [BINARY, "serve", "--config", self.config], f"{directory}/entrepot.log",
                         lambda: ask(self.admin_port, "/readyz")[0] == 200)

    def metric(self, name):
        text = ask(self.admin_port, "/metrics")[2].decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))


@dataclasses.dataclass
class Row:
    what: str
    clients: int
    seconds: float
    from_upstream: int
    served: float
    gets: int           # of the blob that was asked for most often

    def cells(self):
        return [self.what, str(self.clients), f"{self.seconds:.2f} s", human(self.from_upstream), human(self.served), str(self.gets)]


class Demo:
    def __init__(self, directory):
        self.directory = directory
        self.registry = Registry(directory)
        self.entrepot = Entrepot(directory, self.registry.port)
        self.rows = []
        self.broken = []        # promises that did not hold
        self.blob_gets = {}     # over the whole demo
        self.digests = {}       # "repository:tag" -> what the upstream says it is

    def run(self):
        say(f"== upstream: docker-registry on 127.0.0.1:{self.registry.port}")
        self.registry.start()
        subprocess.run([sys.executable, "-B", f"{ROOT}/tools/make-images", f"127.0.0.1:{self.registry.port}"], check=True)
        say(f"== entrepot on 127.0.0.1:{self.entrepot.port}, metrics and admin on 127.0.0.1:{self.entrepot.admin_port}")
        self.entrepot.start()

        say("== pulling with skopeo")
        self.pull("Debian root file system, cold", "library/debian:12", cold=True)
        self.pull("  the same again, hot", "library/debian:12")
        self.pull("busybox, cold", "library/busybox:latest", cold=True)
        self.pull("image of 40 layers, cold", "demo/layers:40", cold=True)
        self.pull("  the same again, hot", "demo/layers:40")
        self.pull("index of 3 architectures, cold", "demo/multi:1", cold=True, options=["--all"])
        self.pull("artifact that is no image, cold", "demo/chart:0.1.0", cold=True)
        self.pull(f"gzipped Debian, cold, {CROWD} clients at once", "library/debian:12-gzip", cold=True, clients=CROWD)
        say("== stopping the upstream")
        self.registry.stop()
        time.sleep(2.2)         # longer than tag_ttl: the tags below are old and cannot be checked
        self.pull("Debian root file system, upstream stopped", "library/debian:12")
        self.pull("image of 40 layers, upstream stopped", "demo/layers:40")

        worst = max(self.blob_gets.values(), default=0)
        self.promise(worst == 1, f"each blob is fetched from the upstream once; one was fetched {worst} times")
        self.promise(self.entrepot.process.poll() is None, "the server is alive at the end")

    def promise(self, holds, text):
        if not holds:
            self.broken.append(text)

    def pull(self, what, image, cold=False, clients=1, options=()):
        repository, tag = image.rsplit(":", 1)
        position, served = self.registry.position(), self.entrepot.metric("entrepot_served_bytes_total")
        expected = self.digest_of(repository, tag) if self.registry.process.poll() is None else self.digests[image]
        started = time.monotonic()
        faults = self.copies(what, image, clients, options)
        seconds = time.monotonic() - started
        time.sleep(0.1)         # the registry writes its log line after the last byte
        gets = self.registry.gets_since(position)
        row = Row(what, clients, seconds, sum(size for _, size in gets), self.entrepot.metric("entrepot_served_bytes_total") - served,
                  self.count(gets))
        self.rows.append(row)
        self.promise(not faults, f"{what}: {len(faults)} of {clients} pulls failed: {faults[0] if faults else ''}")
        wrong = [found for found in self.pulled_digests(clients) if found != expected]
        self.promise(faults or not wrong, f"{what}: {len(wrong)} pulls brought another manifest than the upstream's {expected}")
        self.promise(row.gets == (1 if cold else 0), f"{what}: {row.gets} upstream GETs of one blob instead of {1 if cold else 0}")
        self.forget_copies(clients)

    def digest_of(self, repository, tag):
        """As the upstream says itself. A HEAD, so that the count of GETs does not see it."""
        digest = ask(self.registry.port, f"/v2/{repository}/manifests/{tag}", "HEAD", Accept=ACCEPT)[1]["Docker-Content-Digest"]
        self.digests[f"{repository}:{tag}"] = digest
        return digest

    def count(self, gets):
        """The largest number of GETs of one blob; manifests asked by tag may be asked again, they are names."""
        here = {}
        for path, _ in gets:
            if "/blobs/" in path or "/manifests/sha256:" in path:
                digest = path.rsplit("/", 1)[1]
                here[digest] = here.get(digest, 0) + 1
                self.blob_gets[digest] = self.blob_gets.get(digest, 0) + 1
        return max(here.values(), default=0)

    def copies(self, what, image, clients, options):
        """Runs the clients, and shows how it goes on a terminal. Returns what went wrong."""
        def copy(number):
            source = f"docker://127.0.0.1:{self.entrepot.port}/docker.io/{image}"
            done = subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", *options, source, f"dir:{self.copy_path(number)}"],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PULL_TIMEOUT_S, check=False)
            return done.stderr.strip().splitlines()[-1] if done.returncode and done.stderr.strip() else "skopeo failed" if done.returncode else None

        if not sys.stdout.isatty():
            say(f"    {what.strip()}")
        started = time.monotonic()
        served = self.entrepot.metric("entrepot_served_bytes_total")
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            running = [pool.submit(copy, number) for number in range(clients)]
            while sys.stdout.isatty() and not all(one.done() for one in running):
                now = self.entrepot.metric("entrepot_served_bytes_total") - served
                print(f"\r    {what.strip():<50} {time.monotonic() - started:5.1f} s  {human(now):>9} served", end="", flush=True)
                time.sleep(0.1)
            faults = [one.result() for one in running]
        if sys.stdout.isatty():
            print(f"\r    {what.strip():<50} {time.monotonic() - started:5.1f} s  {'done':<17}", flush=True)
        return [fault for fault in faults if fault]

    def copy_path(self, number):
        return f"{self.directory}/pulled/{number}"

    def pulled_digests(self, clients):
        for number in range(clients):
            try:
                with open(f"{self.copy_path(number)}/manifest.json", "rb") as file:
                    yield "sha256:" + hashlib.sha256(file.read()).hexdigest()
            except OSError:
                yield None

    def forget_copies(self, clients):
        for number in range(clients):
            shutil.rmtree(self.copy_path(number), ignore_errors=True)

    def table(self):
        heads = ["what", "clients", "time", "from upstream", "served", "upstream GETs per blob"]
        lines = [heads] + [row.cells() for row in self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        for line in lines:
            say("  " + "  ".join([line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]))

    def close(self):
        self.entrepot.stop()
        self.registry.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def hints(demo, kept):
    here = f"127.0.0.1:{demo.entrepot.port}"
    if kept:
        say(f"it keeps running (store, logs and configuration in {demo.directory}); try next:")
        say(f"    skopeo copy --src-tls-verify=false docker://{here}/docker.io/library/debian:12 dir:/tmp/debian")
        say(f"    curl -sI http://{here}/v2/docker.io/library/busybox/manifests/latest -H 'Accept: */*'")
        say(f"    curl -s http://127.0.0.1:{demo.entrepot.admin_port}/metrics | grep ^entrepot_")
        say("stop it with:")
        say(f"    kill {demo.entrepot.process.pid} {demo.registry.process.pid} && rm -r {demo.directory}")
        return
    say("try next:")
    say("    ./tools/demo --keep                              the same, left running for your own clients")
    say("    build/entrepot serve --store /var/tmp/entrepot   with the internet behind it, then, with any client:")
    say("    docker pull 127.0.0.1:5000/docker.io/library/alpine")
    say("    curl -s http://127.0.0.1:5001/metrics | grep ^entrepot_")


def main():
    parser = argparse.ArgumentParser(prog="demo", description="Entrepot's main job on real input.")
    parser.add_argument("--keep", action="store_true", help="leave everything running afterwards")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("demo: stopped"))

    base = os.environ.get("TMPDIR", "/tmp")
    if shutil.disk_usage(base).free < SPACE_NEEDED:
        sys.exit(f"demo: {base} has less than {human(SPACE_NEEDED)} free; set TMPDIR to a place that has")
    demo = Demo(tempfile.mkdtemp(prefix="entrepot-demo-"))
    os.makedirs(f"{demo.directory}/pulled")
    kept = False
    try:
        demo.run()
        say()
        demo.table()
        say()
        for text in demo.broken:
            say(f"BROKEN: {text}")
        if arguments.keep:
            demo.registry.start()
            kept = True
        hints(demo, kept)
    except KeyboardInterrupt:
        sys.exit("demo: interrupted")
    finally:
        if not kept:
            demo.close()
    return 1 if demo.broken else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the rows share: tools, corpus, places, who takes part, and how contestants take turns."""
import collections
import contextlib
import os
import subprocess

import machine
import peers
from upstream import Upstream

MB, MIB, GIB = 10**6, 2**20, 2**30

# What docker sends for a manifest (docker 20.10 and later, fields as observed on the wire).
MANIFEST_HEADERS = ["User-Agent: docker/20.10.24 go/go1.19.8 kernel/6.1.0 os/linux arch/amd64",
                    "Accept: application/vnd.docker.distribution.manifest.v2+json", "Accept: application/vnd.docker.distribution.manifest.list.v2+json",
                    "Accept: application/vnd.oci.image.index.v1+json", "Accept: application/vnd.oci.image.manifest.v1+json",
                    "Accept: application/json", "Accept-Encoding: gzip"]

FAILURES_MAX = 2  # of one contestant in one row: more of it only takes time
FAILURES = (RuntimeError, OSError, subprocess.SubprocessError, KeyError)


class Readings:
    """values[metric][contestant]: one value per repetition, None until it was measured."""

    def __init__(self):
        self.repetitions = 0
        self.values = collections.defaultdict(dict)

    def put(self, contestant, **metrics):
        for metric, value in metrics.items():
            row = self.values[metric].setdefault(contestant, [])
            row += [None] * (self.repetitions - len(row))
            row[-1] = value

    def of(self, metric):
        for row in self.values[metric].values():
            row += [None] * (self.repetitions - len(row))
        return self.values[metric]


class Bench:
    def __init__(self, tools, work, corpus, load, repetitions, quick, chosen, say):
        self.tools, self.work, self.corpus, self.load = tools, work, corpus, load
        self.repetitions, self.quick, self.chosen, self.say = repetitions, quick, chosen, say
        self.failures = {}
        self.memory = machine.UsedMemory(os.path.join(work, "hole"))

    # ---- who takes part

    def among(self, *names):
        """Those of these contestants that were chosen and can run."""
        return [name for name in names if (name in self.chosen or name in peers.CEILINGS) and not peers.ALL[name].missing()]

    def upstream(self, rate=0, **distance):
        return Upstream(self.tools, self.corpus.root, rate, **distance)

    def start(self, name, upstream, place=None, **options):
        return peers.ALL[name](os.path.join(self.work, place or name), upstream, **options)

    def fresh_load(self, size):
        """To be called right before a load that makes so many bytes of new pages of files."""
        self.memory.touch(size)
        return self.load

    def forget(self, folder):
        """Nothing of these files is in memory, and memory is full all the same."""
        machine.forget_pages(folder)
        self.memory.fill()

    @contextlib.contextmanager
    def warm(self, names, content, **options):
        """These contestants, each with `content` [(kind, reference)] in its cache and in memory: {name: running server}."""
        servers = {}
        with self.upstream() as upstream:
            try:
                for name in names:
                    try:
                        server = servers[name] = self.start(name, upstream, **options)
                        self.warm_up(server, content)
                    except FAILURES as error:
                        self.fail(name, error)
                        if name in servers:
                            servers.pop(name).stop()
                # docker-registry still stores for two seconds what it has sent, on the core that the first contestant should have.
                if not machine.until_idle():
                    self.say("somebody is still busy: with what he was warmed up with, or another's program")
                yield servers
            finally:
                for server in servers.values():
                    server.stop()

    def warm_up(self, server, content):
        for kind, reference in content:
            server.offer(kind, reference, self.corpus.path(reference))
        if server.tls:
            return  # the load client that speaks TLS warms up by itself
        for start in range(0, len(content), 1000):
            part = [server.url(kind, reference) for kind, reference in content[start:start + 1000]]
            for _ in range(3):
                self.load.once(part, headers=MANIFEST_HEADERS)
        server.settled(len(content))

    # ---- taking turns

    def repeat(self, what, times=None):
        times = times or self.repetitions
        for turn in range(times):
            self.say(f"{what}: repetition {turn + 1} of {times}")
            yield turn

    def interleave(self, row, names, measure, repetitions=None):
        """Readings of measure(name) -> {metric: value} for all contestants, who take turns within each repetition. Another one
        begins each time, so that nobody always inherits the same neighbour's caches and clocks. Who fails is noted, and the
        others go on."""
        readings = Readings()
        for turn in self.repeat(row, repetitions):
            readings.repetitions += 1
            at = turn % max(1, len(names))
            for name in names[at:] + names[:at]:
                if metrics := self.interleave_one(name, measure):
                    readings.put(name, **metrics)
        return readings

    def interleave_one(self, name, measure):
        """One measurement of one contestant; None when it failed."""
        if len(self.failures.get(name, [])) >= FAILURES_MAX:
            return None
        try:
            return measure(name)
        except FAILURES as error:
            return self.fail(name, error)

    def ceiling(self, name, function, *arguments):
        """What a ceiling's measurement gives; None when it fails, since a row is worth having without."""
        try:
            return function(*arguments)
        except FAILURES as error:
            return self.fail(name, error)

    def fail(self, name, error):
        self.say(f"{name}: {str(error)[:300]}")
        self.failures.setdefault(name, []).append(str(error)[:300])

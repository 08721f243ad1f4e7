"""The registries that contestants fetch from, on the clients' core."""
import json
import os
import sys
import urllib.request

import machine
from process import Process, free_port, wait_for_port


class Upstream(Process):
    """rate_upstream: a fixed rate per connection, and it counts what it was asked for. Blobs go by digest, whatever the
    repository."""
    name = "upstream"

    def __init__(self, tools, corpus_root, rate=0, delay_ms=0, connect_delay_ms=0, line_rate=0):
        self.port = free_port()
        numbers = {"--port": self.port, "--rate": rate, "--line-rate": line_rate, "--delay-ms": delay_ms, "--connect-delay-ms": connect_delay_ms}
        numbers = {name: value for name, value in numbers.items() if value}
        command = [os.path.join(tools, "rate_upstream"), "--root", corpus_root, *(str(word) for pair in numbers.items() for word in pair)]
        self.spawn(command, [machine.CLIENT_CPU], os.devnull)
        wait_for_port(self.port, self.process, "rate_upstream")

    def url(self, kind, reference):
        return f"http://127.0.0.1:{self.port}/v2/app/{kind}/{reference}"

    def stats(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=10) as answer:
            return json.load(answer)

    def gets_of(self, digest):
        """GETs of this blob, whatever the repository."""
        return sum(count["gets"] for path, count in self.stats()["paths"].items() if path.endswith(digest))


class FaultyUpstream(Process):
    """faulty_upstream.py: the repository's last name says what goes wrong."""
    name = "faulty upstream"

    def __init__(self, log):
        self.port = free_port()
        script = os.path.join(os.path.dirname(os.path.realpath(__file__)), "faulty_upstream.py")
        self.spawn([sys.executable, "-B", script, str(self.port)], [machine.CLIENT_CPU], log)
        wait_for_port(self.port, self.process, self.name, log)

    def heal(self):
        """From now on every answer is right."""
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/heal", timeout=10).close()

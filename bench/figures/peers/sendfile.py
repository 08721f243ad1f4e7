"""The physical ceiling of a hot row, as a contestant: bench/sendfile_ceiling, which only ever sends one file."""
import os
import time

from peers.contestant import Contestant


class SendfileCeiling(Contestant):
    name, title = "sendfile", "sendfile program (ceiling)"
    caches = False
    tools = ""  # where the program is; set by the command

    def prepare(self):
        self.program_path = os.path.join(self.tools, "sendfile_ceiling")
        self.file = None
        return ["true"], None

    def wait_until_ready(self):
        self.process.wait(timeout=10)  # it starts with its file, in offer()

    def offer(self, kind, reference, path):
        self.stop()
        self.spawn([self.program_path, path, str(self.port)], self.cpus, self.path("output"))
        time.sleep(0.1)

    @classmethod
    def missing(cls):
        return "" if os.path.exists(os.path.join(cls.tools, "sendfile_ceiling")) else "bench/sendfile_ceiling is not built"

"""A cgroup with a memory limit for one server: version 1 or 2, whichever this machine has and lets us use."""
import os
import time

MOUNT = "/sys/fs/cgroup"


def parent_group():
    """(directory, version) where groups with a memory limit can be made; None where they cannot."""
    if os.access(f"{MOUNT}/memory/memory.limit_in_bytes", os.F_OK):
        return (f"{MOUNT}/memory", 1) if os.access(f"{MOUNT}/memory", os.W_OK) else None
    try:
        with open(f"{MOUNT}/cgroup.subtree_control", encoding="ascii") as file:
            enabled = file.read().split()
    except OSError:
        return None
    return (MOUNT, 2) if "memory" in enabled and os.access(MOUNT, os.W_OK) else None


class MemoryGroup:
    made = 0

    def __init__(self, limit):
        directory, self.version = parent_group()
        MemoryGroup.made += 1
        self.path = f"{directory}/entrepot-test-{os.getpid()}-{MemoryGroup.made}"
        os.mkdir(self.path)
        self.write("memory.limit_in_bytes" if self.version == 1 else "memory.max", limit)

    def write(self, name, value):
        with open(f"{self.path}/{name}", "w", encoding="ascii") as file:
            file.write(str(value))

    def read(self, name):
        with open(f"{self.path}/{name}", encoding="ascii") as file:
            return file.read()

    def enter(self):
        """In a child, before it becomes the server."""
        self.write("cgroup.procs", os.getpid())

    def killed(self):
        """How many processes the kernel ended for want of memory."""
        text = self.read("memory.oom_control" if self.version == 1 else "memory.events")
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))

    def stat(self, *names):
        """Of memory.stat, in bytes: what of its memory the kernel cannot take back by itself has other names in each version."""
        values = dict(line.split() for line in self.read("memory.stat").splitlines())
        return sum(int(values.get(name, 0)) for name in names)

    def own_bytes(self):
        """Memory that is no page cache."""
        return self.stat("rss") if self.version == 1 else self.stat("anon")

    def close(self):
        for _ in range(100):
            try:
                return os.rmdir(self.path)
            except OSError:
                time.sleep(0.05)

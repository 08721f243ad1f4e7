"""One thread of a process, stopped while its siblings run on: what no signal can do."""
import ctypes
import os
import time

from .service import LIBC

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000
LIBC.ptrace.restype = ctypes.c_long
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def thread_of(process_id, name):
    for thread in os.listdir(f"/proc/{process_id}/task"):
        with open(f"/proc/{process_id}/task/{thread}/comm", encoding="utf-8") as file:
            if file.read().strip() == name:
                return int(thread)
    raise AssertionError(f"process {process_id} has no thread {name}")


class StoppedThread:
    """`with StoppedThread(pid, "shard-1"):` -- all of it in one thread of the scenario, as ptrace wants it."""

    def __init__(self, process_id, name):
        self.thread = thread_of(process_id, name)
        self.stopped_at = 0.0

    def __enter__(self):
        if LIBC.ptrace(PTRACE_SEIZE, self.thread, None, None):
            raise PermissionError(f"this process may not trace thread {self.thread}")
        LIBC.ptrace(PTRACE_INTERRUPT, self.thread, None, None)
        os.waitpid(self.thread, WALL)
        self.stopped_at = time.monotonic()
        return self

    def for_seconds(self):
        return time.monotonic() - self.stopped_at

    def until(self, age):
        time.sleep(max(0, age - self.for_seconds()))

    def __exit__(self, *_):
        LIBC.ptrace(PTRACE_DETACH, self.thread, None, None)

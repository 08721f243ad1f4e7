"""The machine that measures: cores, clocks, congestion control, page cache. Nothing here knows what is measured."""
import ctypes
import fcntl
import os
import resource
import signal
import subprocess
import time

SERVER_CPU = 0
CLIENT_CPU = 1
CONGESTION = "/proc/sys/net/ipv4/tcp_congestion_control"
DROP_CACHES = "/proc/sys/vm/drop_caches"
_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


NICE = -10  # servers, clients and upstream alike: what else runs on the machine should disturb none of them


def put_first():
    """Nice values only count within a session where the kernel groups tasks by session (sched_autogroup), so both are set."""
    os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    if os.path.exists("/proc/self/autogroup"):
        with open("/proc/self/autogroup", "w") as file:
            file.write(str(NICE))


def on_cpu(cpu):
    """A preexec function: the child stays on one core, before others of the machine, and ends when we end, however we end."""
    def prepare():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        os.sched_setaffinity(0, {cpu})
        if os.geteuid() == 0:
            put_first()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return prepare


def cpu_seconds(pids):
    """CPU used so far by processes, all threads together: running, ended, and the kernel's io_uring workers (which are threads of
    the process). The same clock that utime + stime of /proc/PID/stat come from, in nanoseconds instead of ticks."""
    cpuclock_sched = 2
    return sum(time.clock_gettime((~pid << 3) | cpuclock_sched) for pid in pids)


def cpu_seconds_by_ticks(pids):
    """utime + stime of /proc/PID/stat, to check cpu_seconds() against."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def busy_seconds():
    """What all cores together did since boot except idling: user, nice, system, irq, softirq, and steal (what the hypervisor gave to
    others)."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError(f"no VmRSS of {pid}")


def drop_page_cache():
    os.sync()
    with open(DROP_CACHES, "w") as file:
        file.write("3")


class OtherLoad:
    """What other processes of the machine took while we measured, as a share of one core. On a shared machine this decides how
    much a rate in GB/s is worth; CPU seconds suffer less."""

    def __init__(self, live_pids):
        self.live_pids = live_pids

    def _own(self):
        own = cpu_seconds(self.live_pids)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            own += usage.ru_utime + usage.ru_stime
        return own

    def __enter__(self):
        self.start = (time.monotonic(), busy_seconds(), self._own())
        return self

    def __exit__(self, *_):
        wall, busy, own = time.monotonic() - self.start[0], busy_seconds() - self.start[1], self._own() - self.start[2]
        self.share = max(0.0, busy - own) / wall if wall > 0 else 0.0


class CongestionControl:
    """One congestion control for everyone while we run. What was set before comes back when we end, even by SIGKILL: a small child
    holds the read end of a pipe and restores as soon as nobody holds the other end."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.guard = None
        with open(CONGESTION) as file:
            self.before = file.read().strip()
        self.used = self.before

    def __enter__(self):
        if self.before == self.wanted or not os.access(CONGESTION, os.W_OK):
            return self
        restore = f"read _; printf %s {self.before} > {CONGESTION}"
        self.guard = subprocess.Popen(["sh", "-c", restore], stdin=subprocess.PIPE, start_new_session=True)
        with open(CONGESTION, "w") as file:
            file.write(self.wanted)
        self.used = self.wanted
        return self

    def __exit__(self, *_):
        if self.guard:
            self.guard.stdin.close()
            self.guard.wait(timeout=10)


class OnlyOne:
    """Two benchmarks at once would measure each other."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.file = open(self.path, "w")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another benchmark is running ({self.path} is locked); wait for it to end")
        return self

    def __exit__(self, *_):
        self.file.close()


def describe():
    def first(path, prefix=""):
        with open(path) as file:
            return next((line.split(":", 1)[-1].strip() for line in file if line.startswith(prefix)), "?")
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / 2**20
    return {"kernel": os.uname().release, "cpu": first("/proc/cpuinfo", "model name"), "cores": os.cpu_count(),
            "memory_gib": round(memory, 1), "when": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())}

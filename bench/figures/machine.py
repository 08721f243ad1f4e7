"""The machine that measures: cores, clocks, congestion control, page cache. Nothing here knows what is measured."""
import ctypes
import fcntl
import mmap
import os
import pwd
import resource
import signal
import stat
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


def on_cpu(*cpus, user=None):
    """A preexec function: the child stays on these cores, before others of the machine, and ends when we end, however we end.
    With `user` it becomes that user at once: a program that did so by itself would forget that it shall end with us."""
    account = pwd.getpwnam(user) if user else None
    def prepare():
        os.sched_setaffinity(0, set(cpus))
        if os.geteuid() == 0:
            put_first()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if account:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    return prepare


def cpu_seconds(pids):
    """CPU used so far by processes, all threads together: running, ended, and the kernel's io_uring workers (which are threads of
    the process). The same clock that utime + stime of /proc/PID/stat come from, in nanoseconds instead of ticks."""
    cpuclock_sched = 2
    return sum(time.clock_gettime((~pid << 3) | cpuclock_sched) for pid in pids)


def kernel_thread_seconds():
    """CPU used so far by kernel threads (children of kthreadd): write-back, and softirqs that were put off to ksoftirqd. No
    server is billed for these by its own clock. In ticks, which is enough for rows of seconds."""
    total = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"/proc/{entry.name}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it ended meanwhile
        if fields[1] == "2":
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def tree_of(pid):
    """The process and all its descendants: master, workers, helpers."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children") as file:
                    found += [int(child) for child in file.read().split()]
        except OSError:
            continue  # it ended meanwhile
    return found


def busy_seconds():
    """What all cores together did since boot except idling: user, nice, system, irq, softirq, and steal (what the hypervisor gave to
    others)."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def until_idle(within_s=30, share=0.05, look_s=0.5):
    """Waits until everybody on the machine together needs less than this share of a core. False when they never did."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        before = busy_seconds()
        time.sleep(look_s)
        if busy_seconds() - before < share * look_s:
            return True
    return False


def resident_bytes(pids):
    """Memory that is these processes' own. Pages of files do not count: every server here has its blobs in the page cache, and
    some map them."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith(("RssAnon:", "RssShmem:"))) * 1024
    return total


def socket_bytes():
    """Kernel memory of all TCP sockets: what waits to be sent or read."""
    with open("/proc/net/sockstat") as file:
        words = next(line for line in file if line.startswith("TCP:")).split()
    return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGESIZE")


def connections_to(port):
    """Established connections to this port of loopback, counted at the side that opened them."""
    remote = f":{port:04X}"
    with open("/proc/net/tcp") as file:
        next(file)
        return sum(1 for line in file if (fields := line.split())[2].endswith(remote) and fields[3] == "01")


def forget_pages(folder):
    """Of all files below it, and of nothing else: an empty page cache is not what a server meets that has run for a day."""
    for parent, _, names in os.walk(folder):
        for name in names:
            file = os.open(os.path.join(parent, name), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if stat.S_ISREG(os.fstat(file).st_mode):
                    os.fsync(file)  # dirty pages stay
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)


def drop_page_cache():
    os.sync()
    with open(DROP_CACHES, "w") as file:
        file.write("3")


class UsedMemory:
    """Memory as on a box that has run for a day: whoever needs a page takes one that was used before. A virtual machine gives free memory
    back to its host within seconds (free page reporting), and the first touch of each page then costs the hypervisor's work: measured
    3.2 s/GiB against 0.38, paid by whoever happens to run after a pause. Two cures: fill() makes memory full of the page cache of a file that
    is one hole, so that its pages are memory and never disk; touch() leaves it free, as it is right after somebody used it."""
    SIZE = 1 << 42
    FREE_BYTES = 320 << 20  # stays free: more than the kernel's high watermark, so that nobody starts with a reclaim
    STEP = 8 << 20
    TOUCHED_MIN, TOUCHED_MAX = 1 << 30, 3 << 30
    TOUCHES_MAX = 2
    QUICK_S_PER_GIB = 0.6   # 0.38 was measured on pages that the host had not taken, 3.2 on others

    def __init__(self, path):
        self.file, self.at = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), 0
        os.ftruncate(self.file, self.SIZE)
        self.buffer = memoryview(bytearray(self.STEP))

    def fill(self):
        """Until no more than FREE_BYTES are free. Each turn reads on where the last one stopped: pages already there would be no new ones."""
        for _ in range(4):  # what others free meanwhile counts too
            missing = free_bytes() - self.FREE_BYTES
            if missing < self.STEP:
                return
            for _ in range(missing // self.STEP):
                os.preadv(self.file, [self.buffer], self.at)
                self.at = (self.at + self.STEP) % self.SIZE

    def touch(self, needed):
        """What is free was touched a moment ago, so that the host has not taken it back yet: for a load of seconds that begins at once and makes so many
        bytes of pages. Twice as many are touched, because not every page that the kernel gives out is one that was freed last."""
        size = min(max(2 * needed, self.TOUCHED_MIN), self.TOUCHED_MAX, free_bytes() // 2)
        for _ in range(self.TOUCHES_MAX):
            memory, start = mmap.mmap(-1, size), time.monotonic()
            first = ctypes.c_char.from_buffer(memory)
            ctypes.memset(ctypes.addressof(first), 1, size)
            del first
            memory.close()
            if time.monotonic() - start < self.QUICK_S_PER_GIB * size / (1 << 30):
                return


def free_bytes():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemFree:"))


class OtherLoad:
    """What other processes of the machine took meanwhile, as a share of one core; what we started must have ended before the end. On a
    shared machine this decides how much a rate in GB/s is worth; CPU seconds suffer less."""

    @staticmethod
    def _own():
        usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

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

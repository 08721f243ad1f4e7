"""Memory that cannot be had: an allocation that fails, and a limit on all of it. Nothing wrong is served, nothing stored is lost, nobody is killed by what clients do."""
import errno
import mmap
import os
import struct
import subprocess
import time

from harness.cache import BINARY
from harness.client import Broken
from harness.origin import free_port
from harness.service import die_with_parent
from harness.story import Rows, skip
from harness.system_call import system_call_fails

SHIM = f"{os.path.dirname(BINARY)}/tests/scenario/fail_allocation.so"
STORY_S = float(os.environ.get("ENTREPOT_TORTURE_S", "20"))       # for one of the loops; with much more time the steps are all of size 1
CLONE3, CLONE = 435, 56


class Allocations:
    """The page that fail_allocation.cpp shares with us."""

    def __init__(self, directory):
        if not os.path.exists(SHIM):
            skip(f"{SHIM} is not built")
        self.path = f"{directory}/allocations"
        with open(self.path, "wb") as file:
            file.write(bytes(4096))
        with open(self.path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 4096)
        self.environment = {"LD_PRELOAD": SHIM, "ENTREPOT_FAIL_ALLOCATION": self.path}

    def fail(self, number):
        """The number-th call from now on; 0: none."""
        self.page[0:24] = struct.pack("qqq", 0, number, 0)

    @property
    def calls(self):
        return struct.unpack("q", self.page[0:8])[0]

    @property
    def failed(self):
        return struct.unpack("q", self.page[16:24])[0] > 0


def start_and_end(allocations, directory, arguments):
    """(status, lines of standard error): until it is ready and ended by a signal, or has ended by itself."""
    with open(f"{directory}/said", "w+b") as said:
        process = subprocess.Popen([BINARY, "serve", *arguments], stdin=subprocess.DEVNULL, stderr=said, preexec_fn=die_with_parent,
                                   env={**os.environ, **allocations.environment})
        end = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < end:
            if os.pread(said.fileno(), 1 << 16, 0).find(b"entrepot: ready") >= 0:
                ready_calls = allocations.calls
                process.terminate()
                process.wait(20)
                break
            time.sleep(0.002)
        else:
            ready_calls = 0
        if process.poll() is None:
            process.kill()
            process.wait()
        return process.returncode, os.pread(said.fileno(), 1 << 16, 0).decode("utf-8", "replace").splitlines(), ready_calls


def is_one_line(lines):
    """Beside what it says while all is still well."""
    return len([line for line in lines if "error: " in line]) == 1


def test_every_allocation_of_the_start_fails_once(directory):
    """D08: it says so in one line and ends with 1, or does without."""
    allocations = Allocations(directory)
    arguments = ["--config", "/dev/null", "--store", f"{directory}/store", "--shards", "2", "--listen", f"127.0.0.1:{free_port()}",
                 "--admin", f"127.0.0.1:{free_port()}"]
    allocations.fail(0)
    started = time.monotonic()
    status, lines, count = start_and_end(allocations, directory, arguments)
    took = time.monotonic() - started
    assert status == 0 and count > 100, (status, lines, count)
    step = max(1, int(count * took / STORY_S))
    outcome = {"ended": 0, "done without": 0}
    with Rows() as rows:
        for number in range(1, count + 1, step):
            allocations.fail(number)
            status, lines, _ = start_and_end(allocations, directory, arguments)
            if status == 0:
                outcome["done without"] += 1
                continue
            outcome["ended"] += 1
            rows.check(status == 1 and is_one_line(lines), f"allocation {number} of {count}", (status, lines))
        allocations.fail(0)
        status, lines, _ = start_and_end(allocations, directory, arguments)
        rows.check(status == 0, "what was left behind harms no start", lines)
    print(f"{count} allocations, every {step}.: {outcome}")
    assert outcome["ended"] > 0


def test_every_allocation_of_a_pull_fails_once(make_cache, upstream, directory):
    """D08: the pull is whole or visibly is not; the server goes on, or has said in one line why it ended and starts again with all that it had."""
    allocations = Allocations(directory)
    first = upstream.offers("64KiB")
    cache = make_cache(upstream, environment=allocations.environment)
    cache.expect_death = True
    allocations.fail(0)
    assert cache.get(first).digest() == first.digest
    cache.keeps(first)

    def pull():
        """(whole, of a cold manifest and its layer). Whole or not, never wrong."""
        image = upstream.offers_image(layers=["48KiB"], tag=f"t{time.monotonic_ns()}")
        whole = True
        for path, offer in ((cache.path_of(f"/v2/{image.manifest.repository}/manifests/{image.tag}"), image.manifest), *((cache.path_of(one), one) for one in image.blobs)):
            try:
                with cache.connect(timeout=15) as connection:
                    reply = connection.exchange("GET", path, {"Accept": image.manifest.media_type, "Connection": "close"})
                    if reply.status == 200 and reply.complete:
                        assert reply.digest() == offer.digest, f"P1: {reply}"
                    whole = whole and reply.digest() == offer.digest
            except (Broken, ConnectionError):
                whole = False
        return whole

    assert pull()
    allocations.fail(0)
    started = time.monotonic()
    assert pull()
    took, count = time.monotonic() - started, allocations.calls
    step = max(1, int(count * (took + 0.3) / STORY_S))
    outcome = {"whole all the same": 0, "failed": 0, "ended and started again": 0}
    with Rows() as rows:
        for number in range(1, count + 1, step):
            allocations.fail(number)
            whole = pull()
            failed = allocations.failed
            allocations.fail(0)
            time.sleep(0.01)
            if cache.process.poll() is None:
                outcome["whole all the same" if whole else "failed"] += 1
                rows.check(whole or failed, f"allocation {number}: a pull fails by itself")
                continue
            outcome["ended and started again"] += 1
            lines = cache.log().splitlines()
            rows.check(cache.process.returncode == 1 and "out of memory" in lines[-1], f"allocation {number} of {count}", (cache.process.returncode, lines[-3:]))
            cache.start()
            rows.check(cache.get(first).cache == "hit", f"allocation {number}: what was stored is still there")
        rows.check(pull(), "all is well in the end")
    cache.keeps(first)
    cache.check_calm()
    assert cache.stop() == 0
    cache.check_store()
    print(f"{count} allocations, every {step}.: {outcome}")


test_every_allocation_of_the_start_fails_once.limit_s = test_every_allocation_of_a_pull_fails_once.limit_s = 2 * STORY_S + 60


def test_a_thread_that_cannot_be_had_is_said(directory):
    done = subprocess.run([BINARY, "serve", "--config", "/dev/null", "--store", f"{directory}/store", "--listen", f"127.0.0.1:{free_port()}",
                           "--admin", f"127.0.0.1:{free_port()}"], capture_output=True, text=True, timeout=20, check=False, preexec_fn=system_call_fails(CLONE3, errno.EAGAIN))
    assert done.returncode == 1 and is_one_line(done.stderr.splitlines()) and "cannot start a thread" in done.stderr, done.stderr

"""Memory that cannot be had: an allocation that fails, and a limit on all of it. Nothing wrong is served, nothing stored is lost, nobody is killed by what clients do."""
import errno
import mmap
import os
import resource
import shutil
import socket
import struct
import subprocess
import tempfile
import time

from harness.cache import BINARY, ROOT
from harness.client import Broken
from harness.memory_group import MemoryGroup, parent_group
from harness.origin import free_port
from harness.service import die_with_parent
from harness.story import Rows, skip
from harness.system_call import system_call_fails

SHIM = f"{os.path.dirname(BINARY)}/tests/scenario/fail_allocation.so"
STORY_S = float(os.environ.get("ENTREPOT_TORTURE_S", "20"))       # for one of the loops; with much more time the steps are all of size 1
CLONE3 = 435
LEAST = 64 << 20         # of two shards: least_memory_bytes in shard/memory


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

    def fail(self, number, maps_only=False):
        """The number-th call from now on, or the number-th mmap, most of which are the allocator's own; 0: none."""
        self.page[0:32] = struct.pack("qqqq", 0, number, 0, maps_only)

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
        """What was not whole of a cold manifest and its layers: whole or not, never wrong."""
        image = upstream.offers_image(layers=["48KiB"], tag=f"t{time.monotonic_ns()}")
        lacking = []
        for path, offer in ((cache.path_of(f"/v2/{image.manifest.repository}/manifests/{image.tag}"), image.manifest), *((cache.path_of(one), one) for one in image.blobs)):
            try:
                with cache.connect(timeout=15) as connection:
                    reply = connection.exchange("GET", path, {"Accept": image.manifest.media_type, "Connection": "close"})
                    if reply.status == 200 and reply.complete:
                        assert reply.digest() == offer.digest, f"P1: {reply}"
                    if reply.digest() != offer.digest:
                        lacking.append(f"{path}: {reply} {reply.body[:300]}")
            except (Broken, ConnectionError) as error:
                lacking.append(f"{path}: {error!r}")
        return lacking

    def count(maps_only):
        """(calls of a pull right after a start, seconds): by then every thread has to take its first memory."""
        assert cache.stop() == 0
        cache.start()
        allocations.fail(0, maps_only)
        started = time.monotonic()
        assert not pull()
        return allocations.calls, time.monotonic() - started

    outcome = {"whole all the same": 0, "failed": 0, "ended and started again": 0}

    def has_ended():
        """By now, or is about to: the kernel takes its time with the rings of a process that has said its last line."""
        if cache.process.poll() is None and cache.log().count("out of memory") > outcome["ended and started again"]:
            cache.process.wait(20)
        return cache.process.poll() is not None

    def fail_one(rows, number, maps_only, name):
        allocations.fail(number, maps_only)
        lacking = pull()
        failed = allocations.failed
        allocations.fail(0)
        time.sleep(0.01)
        if not has_ended():
            outcome["failed" if lacking else "whole all the same"] += 1
            return rows.check(failed or not lacking, f"{name}: a pull fails by itself", lacking)
        outcome["ended and started again"] += 1
        lines = cache.log().splitlines()
        rows.check(cache.process.returncode == 1 and "out of memory" in lines[-1], name, (cache.process.returncode, lines[-3:]))
        cache.start()
        return rows.check(cache.get(first).cache == "hit", f"{name}: what was stored is still there")

    with Rows() as rows:
        maps, _ = count(maps_only=True)
        for number in range(1, maps + 1):
            cache.restart()
            fail_one(rows, number, True, f"mmap {number} of {maps}")
        calls, took = count(maps_only=False)
        step = max(1, int(calls * (took + 0.3) / STORY_S))
        for number in range(1, calls + 1, step):
            fail_one(rows, number, False, f"allocation {number} of {calls}")
        lacking = pull()
        rows.check(not lacking, "all is well in the end", lacking)
    cache.keeps(first)
    cache.check_calm()
    assert cache.stop() == 0
    cache.check_store()
    print(f"{maps} maps, {calls} allocations, every {step}.: {outcome}")


test_every_allocation_of_the_start_fails_once.limit_s = test_every_allocation_of_a_pull_fails_once.limit_s = int(2 * STORY_S) + 60


def test_a_thread_that_cannot_be_had_is_said(directory):
    done = subprocess.run([BINARY, "serve", "--config", "/dev/null", "--store", f"{directory}/store", "--listen", f"127.0.0.1:{free_port()}",
                           "--admin", f"127.0.0.1:{free_port()}"], capture_output=True, text=True, timeout=20, check=False, preexec_fn=system_call_fails(CLONE3, errno.EAGAIN))
    assert done.returncode == 1 and is_one_line(done.stderr.splitlines()) and "cannot start a thread" in done.stderr, done.stderr


def limited(story, limit):
    """A cgroup of this size that ends with the story."""
    if not parent_group():
        skip("no memory cgroup can be made here")
    group = MemoryGroup(limit)
    story.closers.append(lambda told: group.close())
    return group


def place_on_a_disk(story):
    """Files of a tmpfs are memory that the limit counts and nobody can reclaim: the store needs a disk, as it has everywhere else."""
    for place in (story.fixture("directory"), f"{ROOT}/build"):
        kind = subprocess.run(["stat", "-f", "-c", "%T", place], check=True, capture_output=True, text=True).stdout.strip()
        if kind in ("tmpfs", "ramfs"):
            continue
        directory = tempfile.mkdtemp(prefix="memory-limit-", dir=place)
        story.closers.append(lambda told: shutil.rmtree(directory))
        return directory
    skip("the temporary directory and the build are both in memory")


def crowd_asks(cache, count, offer):
    """Connections that ask for a body and read none of it; those that the server has no room for wait in the kernel's queue."""
    request = f"GET {cache.path_of(offer)} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    crowd = []
    for _ in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.settimeout(30)
        one.connect(cache.address)
        if cache.tls:
            one = cache.tls.wrap_socket(one, server_hostname="localhost")
        one.send(request)
        crowd.append(one)
    return crowd


def under_load(story, make_cache, upstream, limit, certificates=None):
    """D07: two thousand who ask and do not read, sixteen cold pulls beside them, and somebody who reads."""
    group = limited(story, limit)
    tls = dict(zip(("certificate", "private_key"), certificates.server())) if certificates else {}
    cache = make_cache(upstream, limits=group.enter, capacity="2GiB", store={"path": f"{place_on_a_disk(story)}/store"}, tls=tls, client_tls=certificates and certificates.client_context())
    hot, small = [upstream.offers("1MiB") for _ in range(44)], upstream.offers("2KiB")
    for offer in (*hot, small):
        assert cache.get(offer).digest() == offer.digest
    cache.keeps(small)
    crowd = [one for offer in hot[:40] for one in crowd_asks(cache, 6 if certificates else 50, offer)]
    pulls = [(offer, cache.pull(offer)) for offer in (upstream.offers("4MiB") for _ in range(16))]
    time.sleep(1)
    for one in crowd[:len(crowd) * 3 // 4]:
        one.close()
    later = 0
    with Rows() as rows:
        for offer, pull in pulls:
            pull.wait(90)
            told = pull.reply is not None and pull.reply.status == 503 and pull.reply.header("retry-after")
            later += bool(told)
            rows.check(told or pull.digest() == offer.digest, "a cold pull is whole, or is told when to come again", pull.reply or pull.error)
        for offer in (*hot, small):
            rows.check(cache.get(offer, timeout=60).digest() == offer.digest, "who reads is served", offer.path)
    print(f"{limit >> 20} MiB: {len(pulls) - later} cold pulls whole, {later} told to come later; own memory {group.own_bytes() >> 20} MiB; killed {group.killed()}")
    for one in crowd:
        one.close()
    assert cache.alive and group.killed() == 0, cache.log()


def test_under_load_within_256_mib(story, make_cache, upstream):
    under_load(story, make_cache, upstream, 256 << 20)


def test_under_load_within_128_mib(story, make_cache, upstream):
    under_load(story, make_cache, upstream, 128 << 20)


def test_under_load_within_64_mib_the_least_that_is_accepted(story, make_cache, upstream):
    under_load(story, make_cache, upstream, LEAST)


def test_under_load_with_tls_within_64_mib(story, make_cache, upstream, certificates):
    """As many as it takes at once there: 128 of a shard."""
    under_load(story, make_cache, upstream, LEAST, certificates)


def test_less_memory_than_it_needs_is_said(story, directory):
    for limit, is_enough in ((LEAST - (1 << 20), False), (LEAST, True)):
        group = limited(story, limit)
        with open(f"{directory}/said", "w+b") as said:
            process = subprocess.Popen([BINARY, "serve", "--config", "/dev/null", "--store", f"{directory}/store", "--shards", "2", "--listen",
                                        f"127.0.0.1:{free_port()}", "--admin", f"127.0.0.1:{free_port()}"], stderr=said, preexec_fn=group.enter)
            end = time.monotonic() + 20
            while process.poll() is None and b"entrepot: ready" not in os.pread(said.fileno(), 1 << 16, 0) and time.monotonic() < end:
                time.sleep(0.02)
            process.terminate()
            status, text = process.wait(20), os.pread(said.fileno(), 1 << 16, 0).decode()
        assert group.killed() == 0 and status == (0 if is_enough else 1), (status, text)
        assert is_enough or (len(text.splitlines()) == 1 and "too little for 2 shards" in text and f"{LEAST >> 20} MiB" in text), text


def test_an_address_space_without_room_is_said(make_cache, upstream):
    """ulimit -v: the ledger is mapped, so that it bounds the address space and not the memory."""
    cache = make_cache(upstream, limits=lambda: resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20)), start=False)
    cache.expect_death = True
    cache.start(ready=False)
    assert cache.process.wait(20) == 1 and is_one_line(cache.log().splitlines()) and "ulimit -v" in cache.log(), cache.log()


for pressed in (test_under_load_within_256_mib, test_under_load_within_128_mib, test_under_load_within_64_mib_the_least_that_is_accepted,
                test_under_load_with_tls_within_64_mib):
    pressed.limit_s = 200

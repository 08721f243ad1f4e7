"""Disks that stop taking what is written, on real file systems: what is stored is served, what is not passes through, and it heals by itself."""
import json
import os
import resource
import subprocess
import time

from harness.cache import BINARY
from harness.disk import Disk
from harness.story import Rows, skip

MIB = 1 << 20
FULL_S = int(os.environ.get("ENTREPOT_TEST_FULL_DISK_S", "15"))     # how long it stays full
HEALING_S = 70      # attempts come after pauses of at most a minute


def disk_of(story, name="disk", **how):
    disk = Disk(story.fixture("directory"), name, **how)
    story.closers.append(lambda told: disk.forget())
    if disk.refused:
        skip(disk.refused)
    return disk


def two_volumes(story):
    """A disk, and a volume on it and another on one of the same size."""
    made = [disk_of(story, name) for name in ("one", "two")]
    volumes = [f"{disk.path}/volume" for disk in made]
    for volume in volumes:
        os.makedirs(volume)
    return made[0], volumes


def disks(cache):
    """{path: what the status says of it}."""
    status = json.loads(cache.admin("/api/v1/status")[1])
    assert (status["state"] == "ok") == all(disk["state"] == "healthy" for disk in status["disks"]), status
    return {disk["path"]: disk for disk in status["disks"]}


def until_state(cache, path, state, timeout=HEALING_S):
    end = time.monotonic() + timeout
    while (now := disks(cache)[path])["state"] != state:
        assert time.monotonic() < end, f"{now} after {timeout} s, not {state}"
        time.sleep(0.2)


def check_degraded(rows, cache, path, state):
    """Everything that tells of it."""
    ready, health, metrics = (cache.admin(page) for page in ("/readyz", "/healthz", "/metrics"))
    told = subprocess.run([BINARY, "status", "-r", f"127.0.0.1:{cache.admin_port}"], capture_output=True, text=True, check=False)
    problem = disks(cache)[path]["problem"]
    rows.check(ready[0] == 200 and "degraded: " in ready[1] and path not in ready[1], "I08 readyz", ready)
    rows.check(health[0] == 200 and "degraded: " in health[1] and path not in health[1], "I08 healthz", health)
    rows.check(cache.metric("degraded") == 1 and cache.metric("disk_state", path=path, state=state) == 1, "I08 metrics", metrics[1][-2000:])
    rows.check(told.returncode == 0 and "degraded" in told.stdout and problem.split(":")[0] in told.stdout, "I08 entrepot status", told)


def warnings(cache, since=0):
    return [line for line in cache.log()[since:].splitlines() if "warning:" in line or "error:" in line]


def stored(upstream, cache, count, size="20KiB"):
    blobs = [upstream.offers(size) for _ in range(count)]
    for blob in blobs:
        assert cache.get(blob).digest() == blob.digest
    cache.keeps(*blobs)
    return blobs


def check_hits(rows, cache, blobs, row):
    replies = [cache.get(blob) for blob in blobs]
    rows.check(all(reply.digest() == blob.digest and reply.cache == "hit" for reply, blob in zip(replies, blobs)), row, replies)


def check_misses(rows, cache, upstream, row, count=5, size="300KiB"):
    """They pass through; returns what the answers say of where they came from."""
    blobs = [upstream.offers(size) for _ in range(count)]
    replies = [cache.get(blob) for blob in blobs]
    rows.check(all(reply.digest() == blob.digest for reply, blob in zip(replies, blobs)), row, replies)
    return [reply.cache for reply in replies]


def test_a_disk_without_inodes_keeps_storing(story, make_cache, upstream):
    disk = disk_of(story, make=["-N", "96"])
    cache = make_cache(upstream, store={"path": f"{disk.path}/store"})
    free = os.statvfs(disk.path).f_ffree
    assert free < 300, f"{free} inodes are too many for this story"
    blobs = [upstream.offers("4KiB") for _ in range(free + 30)]
    with Rows() as rows:
        for blob in blobs:
            rows.check(cache.get(blob).digest() == blob.digest, f"I08 blob of {len(blobs)} with {free} inodes")
        cache.keeps(*blobs[-3:])
        rows.check(cache.metric("evictions_total") >= 30, "old ones make room", cache.metric("evictions_total"))
        rows.check(disks(cache)[cache.store]["state"] == "healthy", "it is no trouble", disks(cache))


def test_a_disk_whose_inodes_others_have_heals_when_they_let_go(story, make_cache, upstream):
    disk = disk_of(story, make=["-N", "96"])
    cache = make_cache(upstream, store={"path": f"{disk.path}/store"})
    foreign = []
    try:
        while True:
            foreign.append(f"{disk.path}/foreign-{len(foreign)}")
            with open(foreign[-1], "x", encoding="ascii"):
                pass
    except OSError:
        foreign.pop()
    with Rows() as rows:
        came = check_misses(rows, cache, upstream, "I08 misses without an inode")
        rows.check(set(came) == {"bypass"}, "they pass through", came)
        rows.check(disks(cache)[cache.store]["state"] == "full", "I08 full", disks(cache))
        check_degraded(rows, cache, cache.store, "full")
        for path in foreign:
            os.unlink(path)
        until_state(cache, cache.store, "healthy")
        stored(upstream, cache, 2)
        rows.check(cache.admin("/readyz")[1] == "ready\n" and cache.metric("degraded") == 0, "and says nothing more")


test_a_disk_whose_inodes_others_have_heals_when_they_let_go.limit_s = 150


def test_a_file_size_limit_set_at_run_time_passes_large_ones_through(cache, upstream):
    small = stored(upstream, cache, 3, "500KiB")
    resource.prlimit(cache.process.pid, resource.RLIMIT_FSIZE, (4 * MIB, 4 * MIB))
    with Rows() as rows:
        came = check_misses(rows, cache, upstream, "I08 blobs above RLIMIT_FSIZE", size="8MiB")
        rows.check("hit" not in came and cache.alive, "none is stored, and SIGXFSZ ends nothing", came)
        rows.check(cache.metric("evictions_total") == 0, "nobody leaves for them", cache.metric("evictions_total"))
        rows.check("File too large" in disks(cache)[cache.store].get("problem", ""), "why", disks(cache))
        check_hits(rows, cache, small, "hits")
        stored(upstream, cache, 2, "1MiB")
        rows.check(disks(cache)[cache.store]["state"] == "healthy", "smaller ones are stored", disks(cache))


def test_a_full_disk_under_a_miss_load_says_so_once_a_minute(story, make_cache, upstream):
    disk = disk_of(story)
    cache = make_cache(upstream, store={"path": f"{disk.path}/store"}, capacity="1GiB")
    filler = f"{disk.path}/filler"
    try:
        with open(filler, "wb", buffering=0) as file:
            while True:
                file.write(b"x" * (1 << 16))
    except OSError:
        pass
    since = len(cache.log())
    end = time.monotonic() + FULL_S
    with Rows() as rows:
        while time.monotonic() < end:
            check_misses(rows, cache, upstream, "I07 misses", count=10)
            image = upstream.offers_image(layers=["30KiB"], repository=f"lab/app{rows.looked_at}", tag="1")
            reply = cache.tag(image, "1")
            rows.check(reply.status == 200 and reply.digest() == image.manifest.digest, "I07 a tag", reply)
        rows.check(rows.looked_at >= 20, "a load", rows.looked_at)
        lines = warnings(cache, since)
        rows.check(len(lines) <= 2 * (1 + FULL_S // 60), "I07 one line a minute of the volume, and one of the ledger", lines)
        os.unlink(filler)
        until_state(cache, cache.store, "healthy")
        until_state(cache, f"{cache.store}/ledger", "healthy")
        kept = stored(upstream, cache, 3, "500KiB")
        cache.restart()
        check_hits(rows, cache, kept, "after a restart")


test_a_full_disk_under_a_miss_load_says_so_once_a_minute.limit_s = 185 + FULL_S


def test_it_starts_on_a_disk_that_is_full(story, make_cache, upstream):
    disk = disk_of(story)
    cache = make_cache(upstream, store={"path": f"{disk.path}/store"}, capacity="1GiB")
    kept = stored(upstream, cache, 5)
    cache.kill()
    try:
        with open(f"{disk.path}/filler", "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    except OSError:
        pass
    cache.start()
    with Rows() as rows:
        check_hits(rows, cache, kept, "hits")
        check_misses(rows, cache, upstream, "misses")


def test_a_read_only_volume_of_two_leaves_the_other_storing(story, make_cache, upstream):
    disk, volumes = two_volumes(story)
    cache = make_cache(upstream, store={"volumes": volumes})
    kept = stored(upstream, cache, 30)
    disk.remount("ro")
    with Rows() as rows:
        check_misses(rows, cache, upstream, "I08 until one meets it", count=20)
        rows.check(disks(cache)[volumes[0]]["state"] == "read_only", "I08 read-only", disks(cache))
        check_degraded(rows, cache, volumes[0], "read_only")
        other = stored(upstream, cache, 10)
        rows.check(all(cache.blob_file(blob).startswith(volumes[1]) for blob in other), "the other one stores")
        check_hits(rows, cache, kept, "hits from both")
        rows.check(cache.metric("evictions_total") == 0, "nobody leaves", cache.metric("evictions_total"))
        disk.remount("rw")
        until_state(cache, volumes[0], "healthy")
        rows.check(any(cache.blob_file(blob).startswith(volumes[0]) for blob in stored(upstream, cache, 20)), "it heals by itself")
    cache.restart()
    cache.keeps(*kept, *other)


test_a_read_only_volume_of_two_leaves_the_other_storing.limit_s = 180


def turned_read_only(story, make_cache, upstream):
    """A disk that turned read-only under a store and its ledger, what they had written down by then, and a tag that is older than its TTL."""
    disk = disk_of(story, options=["errors=remount-ro"])
    cache = make_cache(upstream, store={"path": f"{disk.path}/store"}, tag_ttl="1s")
    kept = stored(upstream, cache, 5)
    image = upstream.offers_image(layers=["30KiB"], tag="1")
    for part in image.parts:
        cache.get(part)
    cache.keeps(*image.parts)
    # A tag's record follows its answer. One still under way would meet the trouble before the misses of a story do.
    end = time.monotonic() + 30
    while (reply := cache.tag(image, "1")).cache != "hit":
        assert time.monotonic() < end, f"the tag is not written down after 30 s: {reply}"
        time.sleep(0.05)
    if not disk.find_error():
        skip("this kernel's ext4 cannot be told to find an error")
    time.sleep(1.2)
    return disk, cache, kept, image


def check_tags(rows, cache, upstream, image):
    for _ in range(3):
        rows.check(cache.tag(image, "1").digest() == image.manifest.digest, "I08 a tag that has to be asked for")
    new = upstream.offers_image(layers=["30KiB"], repository="lab/new", tag="1")
    rows.check(cache.tag(new, "1").digest() == new.manifest.digest, "I08 a new tag")


def check_after_repair(cache, disk, upstream, kept):
    cache.expect_death = True
    assert cache.stop() == 0
    disk.unmount()
    subprocess.run(["fsck.ext4", "-p", "-f", disk.image], capture_output=True, check=False)
    done, said = disk.mount()
    assert done, said
    cache.expect_death = False
    cache.start()
    with Rows() as rows:
        check_hits(rows, cache, kept, "mounted again")
        stored(upstream, cache, 2)


def test_a_file_system_that_turns_read_only_under_store_and_ledger(story, make_cache, upstream):
    disk, cache, kept, image = turned_read_only(story, make_cache, upstream)
    since = len(cache.log())
    with Rows() as rows:
        check_misses(rows, cache, upstream, "I08 misses", count=10)
        check_hits(rows, cache, kept, "I08 hits")
        check_tags(rows, cache, upstream, image)
        found = {path: disk["state"] for path, disk in disks(cache).items()}
        rows.check(found == {cache.store: "read_only", f"{cache.store}/ledger": "read_only"}, "I08 both say so", found)
        check_degraded(rows, cache, cache.store, "read_only")
        rows.check(len(warnings(cache, since)) <= 4, "few lines", warnings(cache, since))
    check_after_repair(cache, disk, upstream, kept)


def test_a_file_system_that_turns_read_only_and_the_ledger_meets_it_first(story, make_cache, upstream):
    """No volume is tried while the ledger refuses: what it cannot note could not be found again."""
    disk, cache, kept, image = turned_read_only(story, make_cache, upstream)
    ledger = f"{cache.store}/ledger"
    since = len(cache.log())
    with Rows() as rows:
        check_tags(rows, cache, upstream, image)
        came = check_misses(rows, cache, upstream, "I08 misses", count=10)
        rows.check(set(came) == {"bypass"}, "they pass through", came)
        check_hits(rows, cache, kept, "I08 hits")
        found = disks(cache)[ledger]["state"]
        rows.check(found == "read_only", "I08 the ledger says so", found)
        check_degraded(rows, cache, ledger, "read_only")
        rows.check(len(warnings(cache, since)) <= 4, "few lines", warnings(cache, since))
    check_after_repair(cache, disk, upstream, kept)


def test_a_disk_that_dies_under_one_volume_of_two(story, make_cache, upstream):
    disk, volumes = two_volumes(story)
    cache = make_cache(upstream, store={"volumes": volumes})
    blobs = stored(upstream, cache, 30, "300KiB")
    disk.cut_power()
    with Rows() as rows:
        check_misses(rows, cache, upstream, "I10 misses", count=30)
        for blob in blobs:
            rows.check(cache.fetches_again(blob), "I10 what it held is fetched again")
        rows.check(disks(cache)[volumes[0]]["state"] in ("suspect", "read_only"), "I10 it is left alone", disks(cache))
        other = stored(upstream, cache, 10)
        rows.check(all(cache.blob_file(blob).startswith(volumes[1]) for blob in other), "I10 the other one stores")
    cache.expect_death = True           # what lies on a dead disk cannot be looked at
    assert cache.stop() == 0

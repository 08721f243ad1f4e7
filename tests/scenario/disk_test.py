"""Full disks, damaged files, second servers: the store may fail, a pull that upstream can serve does not."""
import json
import os
import resource
import signal
import subprocess
import time

from harness.cache import BINARY
from harness.page_cache import bytes_in_memory, evicted_from_memory, folder_on_disk
from harness.story import Rows, skip

MIB = 1 << 20


def small_disk(story, size):
    """A tmpfs of that size, unmounted when the story ends."""
    path = f"{story.fixture('directory')}/disk"
    os.makedirs(path)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True, text=True, check=False)
    if mounted.returncode:
        skip(f"cannot mount a small tmpfs here: {mounted.stderr.strip()}")
    story.closers.insert(0, lambda told: subprocess.run(["umount", "-l", path], check=False))
    return path


def flip_byte(path, position):
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(bytes([byte[0] ^ 0x40]))


def test_what_nobody_wanted_for_long_leaves_memory_alone(story, make_cache, upstream):
    """The first reader after a start gets a cold blob past the page cache, a second one brings it in. Every byte is right either way."""
    folder = folder_on_disk(story)
    cache = make_cache(upstream, shards=1, store={"path": f"{folder}/store"})
    blob = upstream.offers("8MiB")
    assert cache.get(blob).digest() == blob.digest
    cache.keeps(blob)
    cache.restart()
    file = f"{folder}/store/blobs/{blob.digest.replace(':', '/')}"
    evicted_from_memory(file)
    if bytes_in_memory(file):
        skip("/var/tmp keeps its files in memory")
    assert cache.get(blob).digest() == blob.digest
    assert bytes_in_memory(file) == 0, bytes_in_memory(file)
    assert cache.get(blob, {"Range": "bytes=300000-900000"}).status == 206  # chunks that were summed: they are wanted again
    assert bytes_in_memory(file) >= 600000, bytes_in_memory(file)
    assert cache.get(blob).digest() == blob.digest
    assert bytes_in_memory(file) >= 8 << 20, bytes_in_memory(file)


def test_a_full_disk_never_fails_a_pull(story, make_cache, upstream):
    disk = small_disk(story, "48m")
    cache = make_cache(upstream, capacity="1GiB", store={"path": f"{disk}/store"})
    with Rows() as rows:
        for number in range(12):
            blob = upstream.offers("8MiB")
            rows.check(cache.pull(blob).digest() == blob.digest, f"I06 blob {number} of 12 x 8 MiB on 48 MiB")
        huge = upstream.offers("64MiB")
        pulls = [cache.pull(huge) for _ in range(3)]
        rows.check(all(pull.digest() == huge.digest for pull in pulls), "a blob larger than the disk")
        small = upstream.offers("10KiB")
        rows.check(cache.get(small).digest() == small.digest, "a small one afterwards")
    assert cache.alive


def test_capacity_is_kept_and_old_blobs_make_room(make_cache, upstream):
    cache = make_cache(upstream, capacity="16MiB")
    blobs = [upstream.offers("1MiB") for _ in range(40)]
    for blob in blobs:
        assert cache.get(blob).digest() == blob.digest
        assert cache.metric("store_bytes") <= 16 * MIB
    assert cache.store_bytes() <= 17 * MIB, "what is on disk"
    assert cache.metric("evictions_total") >= 20
    assert cache.get(blobs[0]).digest() == blobs[0].digest, "an evicted blob is simply fetched again"


def test_a_blob_beyond_the_capacity_streams_without_being_stored(make_cache, upstream):
    cache = make_cache(upstream, capacity="8MiB")
    kept = upstream.offers("1MiB")
    cache.get(kept)
    huge = upstream.offers("24MiB")
    pulls = [cache.pull(huge) for _ in range(2)]
    assert all(pull.digest() == huge.digest for pull in pulls)
    assert cache.blob_file(huge) is None and cache.metric("store_bytes") <= 8 * MIB


def test_what_is_being_read_is_never_taken_away(make_cache, upstream):
    cache = make_cache(upstream, capacity="16MiB")
    blob = upstream.offers("6MiB")
    cache.get(blob)
    reading = cache.pull(blob, rate=3 * MIB, receive_buffer=16 << 10).until_received(1)
    for _ in range(12):
        other = upstream.offers("2MiB")
        assert cache.get(other).digest() == other.digest
    assert reading.digest() == blob.digest, "I19"


def test_a_second_server_on_the_same_store_is_refused(cache, upstream, directory):
    blob = upstream.offers()
    cache.get(blob)
    config = f"{directory}/second.toml"
    with open(f"{cache.directory}/entrepot.toml", encoding="utf-8") as file:
        text = file.read().replace(str(cache.port), "0").replace(str(cache.admin_port), "0")
    with open(config, "w", encoding="utf-8") as file:
        file.write(text.replace(':0"', f':{cache.port + 1}"', 1).replace(':0"', f':{cache.port + 2}"', 1))
    second = subprocess.run([BINARY, "serve", "--config", config], capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == 1, f"I15: exit {second.returncode}: {second.stderr}"
    assert cache.store in second.stderr, f"the message names the store: {second.stderr}"
    assert cache.get(blob).digest() == blob.digest


def test_a_tampered_file_is_never_served_as_whole(cache, upstream):
    with Rows() as rows:
        for size, position in (("20KiB", 5), ("20KiB", -1), ("3MiB", 100), ("3MiB", 2 * MIB), ("3MiB", -1)):
            blob = upstream.offers(size)
            cache.get(blob)
            cache.keeps(blob)
            path = cache.blob_file(blob)
            cache.stop()
            flip_byte(path, position % blob.size)
            evicted_from_memory(path)
            cache.start()
            first = cache.pull(blob).wait()
            rows.check(not first.complete or first.digest() == blob.digest, f"I12 {size}, byte {position}", "a damaged file was served as whole")
            again = cache.get(blob)
            rows.check(again.digest() == blob.digest, f"I12 {size}, byte {position}", "is not healed by the next pull")


test_a_tampered_file_is_never_served_as_whole.limit_s = 120


def test_files_that_change_behind_its_back(cache, upstream):
    with Rows() as rows:
        for name, damage in (("truncated", lambda path: os.truncate(path, 1000)), ("grown", lambda path: open(path, "ab").write(b"x" * 5000)),
                             ("deleted", os.unlink), ("emptied", lambda path: os.truncate(path, 0))):
            blob = upstream.offers("2MiB")
            cache.get(blob)
            cache.keeps(blob)
            cache.stop()
            damage(cache.blob_file(blob))
            cache.start()
            first = cache.pull(blob).wait()
            rows.check(not first.complete or first.digest() == blob.digest, f"I14 {name}", "a lie")
            rows.check(cache.get(blob).digest() == blob.digest, f"I14 {name}", "is not healed")


def test_files_that_change_while_they_are_served(cache, upstream):
    """The length is the one the file had when it was opened; who has it open keeps it. Only bytes that are gone end an answer, visibly."""
    def append(path):
        with open(path, "ab") as file:
            file.write(b"x" * 5000)
    blobs = []
    with Rows() as rows:
        for name, damage, survives in (("deleted", os.unlink, True), ("grown", append, True), ("without any right", lambda path: os.chmod(path, 0), True),
                                       ("truncated", lambda path: os.truncate(path, 4 * MIB), False), ("emptied", lambda path: os.truncate(path, 0), False)):
            for memory in ("hot", "cold"):
                blob = upstream.offers("12MiB")
                blobs.append(blob)
                cache.get(blob)
                cache.keeps(blob)
                path = cache.blob_file(blob)
                if memory == "cold":
                    cache.restart()
                    evicted_from_memory(path)
                pull = cache.pull(blob, rate=8 * MIB, receive_buffer=16 << 10).until_received(64 << 10)
                damage(path)
                pull.wait(60)
                rows.check(pull.digest() == blob.digest if survives else not pull.complete or pull.digest() == blob.digest,
                           f"I14 {name}, {memory}", pull.reply)
                rows.check(cache.fetches_again(blob), f"I14 {name}, {memory}", "is not healed")
        cache.restart()             # nothing is open any more: what is opened now has to be what was stored
        for blob in blobs:
            rows.check(cache.fetches_again(blob), blob.path, "is not healed after a restart")


test_files_that_change_while_they_are_served.limit_s = 180


def test_a_symbolic_link_in_place_of_a_blob_is_not_followed(cache, upstream, directory):
    blob = upstream.offers("100KiB")
    cache.get(blob)
    cache.keeps(blob)
    path = cache.blob_file(blob)
    cache.stop()
    os.unlink(path)
    with open(f"{directory}/elsewhere", "wb") as file:
        file.write(b"s" * blob.size)
    os.symlink(f"{directory}/elsewhere", path)
    cache.start()
    pull = cache.pull(blob).wait()
    assert not pull.complete or pull.digest() == blob.digest
    assert b"ssss" not in (pull.reply.body if pull.reply else b"")
    if os.path.islink(path):
        os.unlink(path)


def test_a_file_size_limit_does_not_fail_a_pull(make_cache, upstream):
    def no_files_beyond():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, 4 * MIB))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    cache = make_cache(upstream, limits=no_files_beyond, start=False)
    try:
        cache.start()
    except AssertionError:
        cache.expect_death = True
        skip("the ledger's map needs a larger file than this limit allows")
    blob = upstream.offers("8MiB")
    assert cache.pull(blob).digest() == blob.digest, "I08"


def test_ten_starts_in_a_row_harm_nothing(cache, upstream):
    blobs = [upstream.offers("500KiB") for _ in range(4)]
    for blob in blobs:
        cache.get(blob)
    cache.keeps(*blobs)
    for _ in range(10):
        cache.kill()
        cache.start()
    upstream.stop()
    for blob in blobs:
        got = cache.get(blob)
        assert got.digest() == blob.digest, got
    cache.check_store()


def test_the_store_is_an_image_layout_that_other_tools_read(cache, upstream):
    image = upstream.offers_image(layers=["300KiB"], tag="1")
    cache.tag(image, "1")
    for part in image.parts:
        cache.get(part)
    cache.keeps(*image.parts)
    cache.stop()
    with open(f"{cache.store}/oci-layout", encoding="utf-8") as file:
        assert json.load(file)["imageLayoutVersion"] == "1.0.0"
    with open(f"{cache.store}/index.json", encoding="utf-8") as file:
        entries = json.load(file)["manifests"]
    assert image.manifest.digest in [entry["digest"] for entry in entries], entries
    for part in image.parts:
        assert os.path.getsize(cache.blob_file(part)) == part.size
    cache.start()


def test_the_store_is_rebuilt_when_the_ledger_is_lost(cache, upstream):
    image = upstream.offers_image(layers=["300KiB"], tag="1")
    cache.tag(image, "1")
    for part in image.parts:
        cache.get(part)
    cache.keeps(*image.parts)
    cache.stop()
    lost = 0
    for folder, _, names in os.walk(cache.store):
        for name in names:
            if name.endswith((".mdb", ".lmdb")) or name.startswith("ledger") or "ledger" in folder:
                os.unlink(f"{folder}/{name}")
                lost += 1
    assert lost, "no ledger found to lose"
    upstream.stop()
    cache.start()
    end = time.monotonic() + 10
    while any(cache.get(part).digest() != part.digest for part in image.parts):
        assert time.monotonic() < end, "blobs carry their digest as name: the ledger can be rebuilt"
        time.sleep(0.2)


def test_two_volumes_share_the_blobs(make_cache, upstream, directory):
    volumes = [f"{directory}/one", f"{directory}/two"]
    for volume in volumes:
        os.makedirs(volume)
    cache = make_cache(upstream, store={"volumes": volumes})
    blobs = [upstream.offers("50KiB") for _ in range(40)]
    for blob in blobs:
        assert cache.get(blob).digest() == blob.digest
    cache.keeps(*blobs)
    held = [sum(1 for blob in blobs if os.path.exists(f"{volume}/blobs/{blob.digest.replace(':', '/')}")) for volume in volumes]
    assert sum(held) == 40 and min(held) >= 5, held


def test_slow_readers_of_cold_blobs_hold_up_nobody(make_cache, upstream):
    """A transfer buffer is held while the disk works, not while a client takes its time: there are 32 of them, and 40 such clients."""
    cache = make_cache(upstream, shards=1)
    cold = [upstream.offers("8MiB") for _ in range(41)]
    for blob in cold:
        assert cache.get(blob).digest() == blob.digest
    cache.restart()                 # from here on every chunk has to be read and summed first
    *dawdled, other = cold
    slow = [cache.pull(blob, rate=16 << 10, leave_after=96 << 10, receive_buffer=4096) for blob in dawdled]
    for pull in slow[:32]:
        pull.until_received(1, timeout=30)
    time.sleep(1)                   # their sockets are full now
    with Rows() as rows:
        for what, blob in (("cold", other), ("new", upstream.offers("4MiB"))):
            started = time.monotonic()
            got = cache.get(blob)
            took = time.monotonic() - started
            rows.check(got.digest() == blob.digest and took < 2, f"a {what} blob", f"{got} after {took:.1f} s")
    for pull in slow:
        pull.wait()

"""What rots while nobody asks for it is found by the scrub, and fetched again by whoever asks next."""
import time

from disk_test import evicted_from_memory, flip_byte
from harness.story import Rows


def until_passed(cache, passes=2):
    """Until everything stored was read that often, whole passes and all."""
    for _ in range(passes):
        before = cache.metric("scrub_last_pass_timestamp_seconds")
        cache.until_metric("scrub_last_pass_timestamp_seconds", before + 1, timeout=60)


def rot(cache, blobs):
    paths = [cache.blob_file(blob) for blob in blobs]
    for number, (blob, path) in enumerate(zip(blobs, paths)):
        flip_byte(path, blob.size * number // len(blobs))
        evicted_from_memory(path)
    return paths


def test_what_rots_is_found_and_nothing_else(make_cache, upstream):
    cache = make_cache(upstream, store={"scrub": "2s"})
    image = upstream.offers_image(layers=["300KiB", "2MiB"], tag="1")
    cache.tag(image, "1")
    blobs = [*image.parts, *(upstream.offers(size) for size in ("100", "4KiB", "60KiB", "256KiB", "257KiB", "1MiB", "3MiB") for _ in range(6))]
    for blob in blobs:
        assert cache.get(blob).digest() == blob.digest
    cache.keeps(*blobs)
    until_passed(cache)
    assert cache.metric("scrub_damaged_total") == 0 and cache.metric("scrub_bytes_total") >= sum(blob.size for blob in blobs)
    bad, good = blobs[::3], [blob for number, blob in enumerate(blobs) if number % 3]
    paths = rot(cache, bad)
    cache.until_metric("scrub_damaged_total", len(bad), timeout=60)
    until_passed(cache)
    assert cache.metric("scrub_damaged_total") == len(bad)
    with Rows() as rows:
        for blob, path in zip(bad, paths):
            told = [line for line in cache.log().splitlines() if blob.digest in line and "is damaged" in line]
            rows.check(len(told) == 1 and "fetched again" in told[0] and cache.store in told[0], path, told)
            rows.check(cache.blob_file(blob) is None, path, "is still there")
        for blob in good:
            rows.check(cache.get(blob).cache == "hit", blob.path, "is gone")
        for blob in bad:
            got = cache.get(blob)
            rows.check(got.digest() == blob.digest, blob.path, got)


def test_while_its_upstream_is_down_what_rotted_is_not_served_as_whole(make_cache, upstream):
    cache = make_cache(upstream, store={"scrub": "2s"})
    blobs = [upstream.offers(size) for size in ("4KiB", "700KiB", "3MiB")]
    for blob in blobs:
        cache.get(blob)
    cache.keeps(*blobs)
    cache.restart()                 # nothing of them is in the server's memory
    upstream.stop()
    rot(cache, blobs[1:])
    cache.until_metric("scrub_damaged_total", 2, timeout=60)
    assert cache.get(blobs[0]).digest() == blobs[0].digest
    for blob in blobs[1:]:
        pull = cache.pull(blob).wait(90)
        assert not pull.complete, f"{blob.path} is served though it rotted"


def test_never_is_never(make_cache, upstream):
    cache = make_cache(upstream, store={"scrub": "never"})
    blob = upstream.offers("1MiB")
    cache.get(blob)
    cache.keeps(blob)
    rot(cache, [blob])
    time.sleep(1)
    assert cache.metric("scrub_bytes_total") == 0 and cache.metric("scrub_last_pass_timestamp_seconds") == 0
    assert cache.blob_file(blob)
    assert cache.fetches_again(blob)

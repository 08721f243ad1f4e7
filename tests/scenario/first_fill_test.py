"""A blob that nobody wanted for long goes from upstream to the disk and to the first clients out of the same buffers: past the page cache, byte for byte right whoever follows it and how."""
import time

from harness.origin import Answer
from harness.page_cache import bytes_in_memory, folder_on_disk, writes_past_memory
from harness.story import skip

MIB = 1 << 20


def on_disk(story, make_cache, upstream, **words):
    folder = folder_on_disk(story)
    if not writes_past_memory(folder):
        skip("/var/tmp is on a file system without O_DIRECT")
    return make_cache(upstream, store={"path": f"{folder}/store"}, **words)


def kept_in_memory(cache, blob):
    """Bytes of its file."""
    cache.keeps(blob)
    return bytes_in_memory(cache.blob_file(blob))


def test_the_first_client_leaves_the_page_cache_alone_the_second_earns_it(story, make_cache, upstream):
    cache = on_disk(story, make_cache, upstream, shards=1)
    kept = []
    for _ in range(6):  # where the machine is busy upstream may be too slow to fill a buffer in time
        blob = upstream.offers("24MiB")
        assert cache.get(blob).digest() == blob.digest
        kept.append(kept_in_memory(cache, blob))
        if kept[-1] < 4 * MIB:
            break
    assert kept[-1] < 4 * MIB, kept
    assert cache.get(blob).digest() == blob.digest and upstream.gets(blob) == 1
    assert kept_in_memory(cache, blob) == blob.size


def test_two_clients_follow_out_of_buffers_and_a_third_brings_the_rest_into_memory(story, make_cache, upstream):
    cache = on_disk(story, make_cache, upstream)
    blob = upstream.offers("32MiB", hold_after="16MiB")
    two = [cache.pull(blob) for _ in range(2)]
    for pull in two:
        pull.until_received(15 * MIB)
    third = cache.pull(blob).until_received(15 * MIB)
    blob.release()
    assert {pull.digest() for pull in (*two, third)} == {blob.digest} and upstream.gets(blob) == 1
    assert kept_in_memory(cache, blob) >= 16 * MIB


def test_a_client_far_ahead_of_the_bytes_that_come_first_neither_waits_nor_holds_buffers(story, make_cache, upstream):
    cache = on_disk(story, make_cache, upstream, shards=1)
    blobs = [upstream.offers("24MiB") for _ in range(12)]
    pulls = [cache.pull(blob, headers={"Range": f"bytes={20 * MIB}-"}) for blob in blobs]
    started = time.monotonic()
    for pull, blob in zip(pulls, blobs):
        pull.wait()
        assert pull.status == 206 and pull.reply.received == 4 * MIB and upstream.gets(blob) == 1, pull.reply
    assert time.monotonic() - started < 20
    for blob in blobs:
        assert cache.get(blob).digest() == blob.digest


def test_more_first_fills_than_a_shard_has_buffers(story, make_cache, upstream):
    cache = on_disk(story, make_cache, upstream, shards=1)
    blobs = [upstream.offers("6MiB") for _ in range(40)]
    pulls = [cache.pull(blob) for blob in blobs]
    assert [pull.digest() for pull in pulls] == [blob.digest for blob in blobs]
    assert all(upstream.gets(blob) == 1 for blob in blobs)


def test_a_fill_that_breaks_off_goes_on_where_it_stopped(story, make_cache, upstream):
    cache = on_disk(story, make_cache, upstream)
    blob = upstream.offers("20MiB")
    upstream.next(blob, Answer(cut_after=7 * MIB + 12345), Answer(cut_after=6 * MIB + 1))
    assert cache.get(blob).digest() == blob.digest
    assert cache.metric("fetch_resumes_total") == 2
    cache.keeps(blob)
    assert cache.get(blob).digest() == blob.digest


def test_a_wrong_blob_is_never_complete(story, make_cache, upstream):
    cache = on_disk(story, make_cache, upstream)
    blob = upstream.offers("8MiB", corrupt_at=-1)
    pull = cache.pull(blob)
    pull.wait()
    assert not pull.complete and cache.metric("digest_mismatches_total") >= 1


def test_a_slow_client_gets_every_byte_and_holds_up_nobody(story, make_cache, upstream):
    cache = on_disk(story, make_cache, upstream, shards=1)
    blob = upstream.offers("12MiB")
    slow = cache.pull(blob, rate=4 * MIB, receive_buffer=16 << 10).until_received(1)
    started = time.monotonic()
    assert cache.get(blob).digest() == blob.digest
    assert time.monotonic() - started < 3
    assert slow.digest() == blob.digest and upstream.gets(blob) == 1


def test_a_slow_client_over_tls_is_never_cut_off(story, make_cache, upstream, certificates):
    chain, key = certificates.server()
    cache = on_disk(story, make_cache, upstream, shards=1, tls={"certificate": chain, "private_key": key}, client_tls=certificates.client_context())
    for _ in range(2):
        blob = upstream.offers("4MiB")
        slow = [cache.pull(blob, rate=2 * MIB, receive_buffer=16 << 10) for _ in range(2)]
        assert [pull.digest() for pull in slow] == [blob.digest] * 2 and upstream.gets(blob) == 1

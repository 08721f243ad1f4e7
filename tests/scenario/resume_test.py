"""A break upstream costs the missing bytes, not the pull: the rest is asked for with Range."""
import os
import random
import time

from harness.origin import Answer
from harness.story import Rows

MIB = 1 << 20


def starts(upstream, blob):
    """Where each GET of the blob began."""
    return [int((r.header("range") or "bytes=0-")[6:].split("-")[0]) for r in upstream.asked(path=blob.path, method="GET")]


def test_a_cut_in_the_middle_is_resumed_from_there(cache, upstream):
    with Rows() as rows:
        for name, reset in (("FIN", False), ("RST", True)):
            blob = upstream.offers("6MiB")
            upstream.next(blob, Answer(cut_after=3 * MIB, reset=reset))
            pulls = [cache.pull(blob) for _ in range(3)]
            for pull in pulls:
                rows.check(pull.digest() == blob.digest, name, pull.reply)
            began = starts(upstream, blob)
            rows.check(len(began) == 2 and began[0] == 0 and (began[1] > 0 or reset), name, began)


def test_many_cuts_still_make_one_whole_blob_and_few_extra_bytes(cache, upstream):
    blob = upstream.offers("4MiB", rate="64MiB")
    upstream.next(blob, *[Answer(cut_after=MIB) for _ in range(3)])
    assert cache.pull(blob).digest() == blob.digest
    assert sum(1 for first in starts(upstream, blob) if first) >= 3
    assert cache.metric("upstream_bytes_total") <= 1.05 * blob.size + 16384


def test_an_upstream_without_ranges_is_started_over_and_the_client_never_notices(cache, upstream):
    blob = upstream.offers("3MiB", ranges=False)
    upstream.next(blob, Answer(cut_after=MIB))
    assert cache.pull(blob).digest() == blob.digest


def test_a_wrong_content_range_is_never_woven_in(cache, upstream):
    with Rows() as rows:
        for name, lie in (("start", "bytes 5-{last}/{size}"), ("size", "bytes {first}-{last}/99999999"), ("junk", "bytes junk"), ("unit", "lines 1-2/3")):
            blob = upstream.offers("2MiB")
            text = lie.format(first=MIB, last=blob.size - 1, size=blob.size)
            upstream.next(blob, Answer(cut_after=MIB), Answer(206, {"Content-Range": text}, blob.data[:MIB]))
            pull = cache.pull(blob).wait(90)
            rows.check(not pull.complete or pull.digest() == blob.digest, name, pull.reply)


def test_content_that_changes_under_a_resume_is_never_complete(cache, upstream):
    blob = upstream.offers("2MiB")
    other = upstream.offers("2MiB")
    upstream.next(blob, Answer(cut_after=MIB))
    upstream.always(blob, Answer(206, {"Content-Range": f"bytes {MIB}-{blob.size - 1}/{blob.size}"}, other.data[MIB:]))
    pull = cache.pull(blob).wait(90)
    assert not pull.complete and cache.blob_file(blob) is None


def test_a_restart_keeps_what_had_come(cache, upstream):
    blob = upstream.offers("16MiB", hold_after="12MiB")
    cache.pull(blob, leave_after=10 * MIB).wait()
    time.sleep(0.5)
    cache.stop()
    blob.release()
    cache.start()
    assert cache.pull(blob).digest() == blob.digest
    assert starts(upstream, blob)[-1] > 0, "the partial file was not used"


def test_a_kill_keeps_what_had_come(cache, upstream):
    blob = upstream.offers("32MiB", hold_after="24MiB")
    cache.pull(blob).until_received(20 * MIB)
    time.sleep(0.5)
    cache.kill()
    blob.release()
    cache.start()
    assert cache.pull(blob).digest() == blob.digest
    assert starts(upstream, blob)[-1] > 0, "the partial file was not used"


def test_kills_at_random_moments_of_a_fill_never_leave_a_lie(cache, upstream):
    moments = random.Random(7)
    for turn in range(12):
        blobs = [upstream.offers(f"{moments.randrange(1, 4)}MiB", rate="24MiB") for _ in range(3)]
        for blob in blobs:
            cache.pull(blob)
        time.sleep(moments.random() * 0.25)
        cache.kill()
        cache.start()
        cache.check_store()
        for blob in blobs:
            assert cache.pull(blob).digest() == blob.digest, f"turn {turn}"


def test_a_partial_file_that_was_tampered_with_is_found_out(cache, upstream, directory):
    """Whatever lies in the store, a body that does not hash to its name is never complete."""
    blob = upstream.offers("16MiB", hold_after="12MiB")
    cache.pull(blob).until_received(10 * MIB)
    time.sleep(0.5)
    cache.kill()
    damaged = 0
    for folder, _, names in os.walk(cache.store):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.getsize(path) > MIB and "mdb" not in name:
                with open(path, "r+b") as file:
                    file.seek(MIB)
                    byte = file.read(1)
                    file.seek(MIB)
                    file.write(bytes([byte[0] ^ 1]))
                damaged += 1
    blob.release()
    cache.start()
    first = cache.pull(blob).wait()
    assert not first.complete or first.digest() == blob.digest, "a damaged partial file reached a client as whole"
    assert cache.pull(blob).digest() == blob.digest, f"{damaged} partial files damaged; the second pull must start over"


def test_a_resume_after_a_redirect_asks_the_registry_again(cache, upstream, make_trap):
    """A pre-signed location may have expired; the registry gives a new one."""
    blob = upstream.offers("2MiB")
    location = make_trap(answer=Answer(200, {"Content-Type": "application/octet-stream"}, blob.data, cut_after=MIB))
    upstream.next(blob, Answer(307, {"Location": f"{location.url}/signed"}, b""))
    assert cache.pull(blob).digest() == blob.digest
    assert upstream.gets(blob) == 2 and len(location.seen()) == 1

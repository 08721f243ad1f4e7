"""A wrong blob is always a short body, never a complete lie: the last bytes leave only after the digest matched."""
from harness.origin import Answer
from harness.story import Rows
from harness.upstream import digest_of


def test_a_flipped_bit_anywhere_never_becomes_a_complete_body(cache, upstream):
    with Rows() as rows:
        for size in ("100", "20KiB", "1MiB", "9MiB"):
            for where, position in (("first", 0), ("middle", 50), ("last", -1)):
                blob = upstream.offers(size, corrupt_at=position)
                pulls = [cache.pull(blob) for _ in range(4)]
                for pull in pulls:
                    rows.check(not pull.complete, f"{size}, {where} byte", pull.reply)
                rows.check(cache.blob_file(blob) is None, f"{size}, {where} byte", "is in the store")
    assert cache.metric("digest_mismatches_total") >= 12


def test_the_wait_for_the_last_bytes_is_visible_to_a_follower(cache, upstream):
    """All but the last byte came and are served as far as the withheld tail; the end waits for the digest."""
    blob = upstream.offers("4MiB", hold_after=(4 << 20) - 1)
    pull = cache.pull(blob).until_received(3 << 20)
    assert pull.running and pull.received < blob.size
    blob.release()
    assert pull.digest() == blob.digest


def test_after_a_corrupt_answer_the_next_pull_is_whole(cache, upstream):
    blob = upstream.offers("1MiB")
    upstream.next(blob, Answer(corrupt_at=-1), Answer(corrupt_at=-1), Answer(corrupt_at=-1))
    assert cache.fetches_again(blob), "the upstream was honest again after three answers"


def test_a_length_that_does_not_fit_the_bytes_is_never_served_as_whole(cache, upstream):
    with Rows() as rows:
        for name, answer in (("shorter than the body", Answer(content_length=1000)), ("longer than the body", Answer(content_length=300_000)),
                             ("zero", Answer(content_length=0))):
            blob = upstream.offers("200KiB")
            upstream.always(blob, answer)
            pull = cache.pull(blob).wait(90)
            rows.check(not pull.complete, name, pull.reply)
            rows.check(cache.blob_file(blob) is None, name, "is in the store")


def test_the_body_decides_when_the_digest_header_lies(cache, upstream):
    blob = upstream.offers("100KiB")
    upstream.always(blob, Answer(headers={"Docker-Content-Digest": digest_of(b"something else")}))
    pull = cache.pull(blob).wait()
    assert not pull.complete or pull.digest() == blob.digest
    if pull.complete:
        assert pull.reply.header("docker-content-digest") == blob.digest


def test_a_tag_whose_digest_header_lies_never_pairs_a_wrong_digest_with_a_body(cache, upstream):
    image = upstream.offers_image(tag="1")
    lie = digest_of(b"something else")
    for kind in ("manifest_get", "manifest_head"):
        upstream.always(kind, Answer(headers={"Docker-Content-Digest": lie}))
    reply = cache.tag(image, "1")
    assert reply.status >= 400 or reply.header("docker-content-digest") == reply.digest(), reply


def test_a_corrupt_manifest_by_digest_is_refused(cache, upstream):
    image = upstream.offers_image()
    upstream.always(image.manifest, Answer(corrupt_at=3))
    pull = cache.pull(image.manifest).wait()
    assert not pull.complete
    upstream.always(image.manifest, None)
    assert cache.get(image.manifest).digest() == image.manifest.digest


def test_sha512_is_verified_as_well(cache, upstream):
    good = upstream.offers("300KiB", algorithm="sha512")
    reply = cache.get(good)
    assert reply.status == 200 and reply.digest("sha512") == good.digest
    assert cache.keeps(good).get(good).digest("sha512") == good.digest
    bad = upstream.offers("300KiB", algorithm="sha512", corrupt_at=-1)
    assert not cache.pull(bad).complete and cache.blob_file(bad) is None


def test_an_empty_blob_is_a_blob(cache, upstream):
    blob = upstream.offers(data=b"")
    for _ in range(2):
        reply = cache.get(blob)
        assert reply.status == 200 and reply.length == 0 and reply.digest() == blob.digest


def test_chunked_and_unframed_bodies_are_whole_when_the_digest_says_so(cache, upstream):
    with Rows() as rows:
        for name, behaviour in (("chunked", {"chunked": True}), ("until close", {"unframed": True})):
            blob = upstream.offers("3MiB", **behaviour)
            reply = cache.get(blob)
            rows.check(reply.digest() == blob.digest, name, reply)
            rows.check(cache.get(blob).length == blob.size, name, "no length when hot")
            cut = upstream.offers("3MiB", cut_after="1MiB", ranges=False, **behaviour)
            pull = cache.pull(cut).wait(90)
            rows.check(not pull.complete, f"{name}, cut", pull.reply)

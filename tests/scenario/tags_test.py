"""A tag is a name with an age: fresh it costs nothing, old it is checked once, and when that fails the old answer says so."""
import time

from harness.origin import Answer
from harness.story import Rows

SHORT_TTL = "1s"
PAST_TTL_S = 1.2


def test_a_fresh_tag_costs_no_request(cache, upstream):
    image = upstream.offers_image(tag="1")
    assert cache.tag(image, "1").digest() == image.manifest.digest
    cache.keeps(image.manifest)
    before = len(upstream.seen())
    for _ in range(20):
        reply = cache.tag(image, "1")
        assert reply.digest() == image.manifest.digest
    assert reply.cache == "hit" and len(upstream.seen()) == before


def test_an_old_tag_is_checked_by_one_head(make_cache, upstream):
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, tag_ttl="3s")
    cache.tag(image, "1")
    time.sleep(3.2)
    before = len(upstream.seen())
    reply = cache.tag(image, "1")
    assert reply.digest() == image.manifest.digest and reply.cache == "revalidated"
    assert [request.method for request in upstream.seen()[before:]] == ["HEAD"]
    checked = len(upstream.seen())
    cache.tag(image, "1")
    assert len(upstream.seen()) == checked, "the check made it fresh again"


def test_a_moved_tag_is_seen_after_its_ttl(make_cache, upstream):
    old = upstream.offers_image(tag="1", seed="old")
    cache = make_cache(upstream, tag_ttl=SHORT_TTL)
    assert cache.tag(old, "1").digest() == old.manifest.digest
    new = upstream.offers_image(tag="1", seed="new")
    assert cache.tag(old, "1").digest() == old.manifest.digest, "within the ttl the old answer stands"
    time.sleep(PAST_TTL_S)
    assert cache.tag(old, "1").digest() == new.manifest.digest
    assert cache.get(old.manifest).digest() == old.manifest.digest, "the old digest stays what it was"


def test_twenty_clients_cause_one_check(make_cache, upstream):
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, tag_ttl=SHORT_TTL)
    cache.tag(image, "1")
    time.sleep(PAST_TTL_S)
    upstream.always("manifest_head", Answer(delay=0.4))
    before = len(upstream.asked("manifest_head"))
    path = cache.path_of("/v2/lab/app/manifests/1")
    pulls = [cache.pull(path, {"Accept": image.manifest.media_type}) for _ in range(20)]
    assert {pull.digest() for pull in pulls} == {image.manifest.digest}
    assert len(upstream.asked("manifest_head")) - before == 1


def test_when_upstream_fails_the_old_answer_is_given_and_says_so(make_cache, upstream):
    troubles = {"500": Answer(500), "502": Answer(502), "503": Answer(503), "504": Answer(504), "522": Answer(522),
                "429": Answer(429, {"Retry-After": "0"}), "429 without a word": Answer(429), "closes": Answer(drop=True),
                "resets": Answer(drop=True, reset=True), "not HTTP": Answer(raw=b"SSH-2.0-OpenSSH\r\n")}
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, tag_ttl=SHORT_TTL)
    for number in range(len(troubles)):
        upstream.tag(image.manifest, f"t{number}")          # a tag for each: a failed check is not repeated at once
        cache.tag(image, f"t{number}")
    time.sleep(PAST_TTL_S)
    with Rows() as rows:
        for number, (name, trouble) in enumerate(troubles.items()):
            upstream.always("any", trouble)
            served = cache.metric("stale_served_total")
            reply = cache.tag(image, f"t{number}")
            rows.check(reply.status == 200 and reply.digest() == image.manifest.digest, name, reply)
            rows.check(reply.cache == "stale" and reply.header("warning") and int(reply.header("age", "0")) >= 1, f"{name}, headers", reply.headers)
            rows.check(cache.metric("stale_served_total") > served, f"{name}, metric")


def test_when_upstream_is_gone_the_old_answer_is_given(make_cache, upstream):
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, tag_ttl=SHORT_TTL)
    cache.tag(image, "1")
    time.sleep(PAST_TTL_S)
    upstream.stop()
    for method in ("HEAD", "GET"):
        reply = cache.tag(image, "1", method=method)
        assert reply.status == 200 and reply.cache == "stale" and reply.header("warning"), reply
        assert reply.header("docker-content-digest") == image.manifest.digest
    upstream.start()
    time.sleep(PAST_TTL_S)
    end = time.monotonic() + 15
    while cache.tag(image, "1").cache == "stale":
        assert time.monotonic() < end, "an upstream that came back is noticed"
        time.sleep(0.2)


def test_a_head_that_hangs_costs_at_most_the_revalidation_limit(make_cache, upstream):
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, tag_ttl=SHORT_TTL)
    cache.tag(image, "1")
    time.sleep(PAST_TTL_S)
    upstream.always("manifest_head", Answer(hang=True))
    started = time.monotonic()
    reply = cache.tag(image, "1")
    assert reply.digest() == image.manifest.digest and reply.cache == "stale"
    assert time.monotonic() - started < 2.5, "a cached image must not wait for a slow registry"


def test_a_definite_no_is_passed_on_and_nothing_stale_is_given(make_cache, upstream):
    with Rows() as rows:
        for status in (401, 403, 404):
            image = upstream.offers_image(tag=f"t{status}")
            cache = make_cache(upstream, tag_ttl=SHORT_TTL)
            cache.tag(image, f"t{status}")
            time.sleep(PAST_TTL_S)
            for kind in ("manifest_head", "manifest_get"):
                upstream.always(kind, Answer(status))
            reply = cache.tag(image, f"t{status}")
            rows.check(reply.status in (401, 403, 404), status, reply)
            rows.check(status != 404 or (reply.status == 404 and reply.error_code == "MANIFEST_UNKNOWN"), f"{status} code", reply.body)
            for kind in ("manifest_head", "manifest_get"):
                upstream.always(kind, None)


def test_tags_survive_a_restart_without_upstream(make_cache, upstream):
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, tag_ttl="1h")
    cache.tag(image, "1")
    for layer in image.blobs:
        cache.get(layer)
    cache.keeps(*image.parts)
    upstream.stop()
    cache.restart()
    assert cache.tag(image, "1").digest() == image.manifest.digest
    for layer in image.blobs:
        assert cache.get(layer).digest() == layer.digest


def test_an_unknown_tag_is_404_and_a_burst_of_it_is_not_a_burst_upstream(cache, upstream):
    upstream.offers_image(tag="1")
    replies = [cache.tag("lab/app", "nothere") for _ in range(50)]
    assert {reply.status for reply in replies} == {404} and {reply.error_code for reply in replies} == {"MANIFEST_UNKNOWN"}
    assert len(upstream.asked(path="/v2/lab/app/manifests/nothere")) <= 4, "cosign and other clients ask for many tags that are not there"


def test_a_digest_once_cached_never_waits_for_upstream(make_cache, upstream):
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, tag_ttl=SHORT_TTL)
    for part in image.parts:
        cache.get(part)
    cache.keeps(*image.parts)
    upstream.always("any", Answer(hang=True))
    time.sleep(PAST_TTL_S)
    for part in image.parts:
        started = time.monotonic()
        reply = cache.get(part)
        assert reply.digest() == part.digest and reply.cache == "hit" and time.monotonic() - started < 0.5


def test_tags_of_two_rules_do_not_mix(make_cache, make_upstream):
    one, two = make_upstream(login_server="one.test"), make_upstream(login_server="two.test")
    first, second = one.offers_image(tag="1", seed="one"), two.offers_image(tag="1", seed="two")
    cache = make_cache(one, two)
    for server, image in (("one.test", first), ("two.test", second)):
        reply = cache.get(cache.path_of("/v2/lab/app/manifests/1", server), {"Accept": image.manifest.media_type})
        assert reply.digest() == image.manifest.digest

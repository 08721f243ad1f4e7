"""The pull protocol as clients use it: parts, conditions, heads, kept connections, metrics that add up."""
import json
import time

from harness.origin import Answer
from harness.story import Rows


def test_single_ranges_of_a_stored_blob(cache, upstream):
    blob = upstream.offers("1MiB")
    cache.get(blob)
    size, data = blob.size, blob.data
    table = {"bytes=0-": (206, data), "bytes=0-0": (206, data[:1]), "bytes=10-19": (206, data[10:20]), f"bytes={size - 1}-": (206, data[-1:]),
             "bytes=-1": (206, data[-1:]), "bytes=-100": (206, data[-100:]), f"bytes=-{size * 2}": (206, data), f"bytes=5-{size * 9}": (206, data[5:]),
             f"bytes={size}-": (416, None), "bytes=99999999999999999999-": (416, None), "bytes=-0": (416, None)}
    with Rows() as rows:
        for text, (status, part) in table.items():
            reply = cache.get(blob, {"Range": text})
            rows.check(reply.status == status, text, reply)
            if status == 206:
                first = size - len(part) if text.startswith("bytes=-") else int(text[6:].split("-")[0])
                rows.check(reply.body == part and reply.header("content-range") == f"bytes {first}-{first + len(part) - 1}/{size}", text, reply)
            else:
                rows.check(reply.header("content-range") == f"bytes */{size}", text, reply)
        for text in ("bytes=5-4", "bytes=a-b", "lines=1-2", "bytes=", "bytes=1", "bytes 1-2", "bytes=--1", "bytes=0x1-2"):
            reply = cache.get(blob, {"Range": text})
            rows.check(reply.status in (200, 416, 400), f"{text!r} is no range", reply)
            rows.check(reply.status != 200 or reply.digest() == blob.digest, f"{text!r} gives the whole", reply)
        several = cache.get(blob, {"Range": "bytes=0-1,5-6"})
        rows.check(several.status in (200, 206), "two ranges", several)
        rows.check(several.status != 200 or several.digest() == blob.digest, "two ranges give the whole or both", several)
        head = cache.head(blob, {"Range": "bytes=0-9"})
        rows.check(head.status == 200 and head.length == blob.size, "a range is for GET alone", head)


def test_ranges_of_a_running_fetch_follow_it(cache, upstream):
    blob = upstream.offers("4MiB", hold_after="2MiB")
    cache.pull(blob).until_received(1 << 20)
    arrived = cache.get(blob, {"Range": "bytes=1000-1999"})
    assert arrived.status == 206 and arrived.body == blob.data[1000:2000], "what is here is given at once"
    waiting = cache.pull(blob, {"Range": f"bytes={3 << 20}-{(3 << 20) + 99}"})
    head = waiting.until_head()
    assert head.status == 206 and waiting.received == 0, "the head leaves at once, the bytes when they come"
    blob.release()
    assert waiting.complete and waiting.reply.body == blob.data[3 << 20:(3 << 20) + 100]


def test_a_suffix_of_a_cold_blob(cache, upstream):
    blob = upstream.offers("2MiB")
    reply = cache.get(blob, {"Range": "bytes=-500"})
    assert reply.status == 206 and reply.body == blob.data[-500:]


def test_if_range_decides_between_the_part_and_the_whole(cache, upstream):
    blob = upstream.offers("100KiB")
    etag = cache.get(blob).header("etag")
    assert etag, "a blob has an entity tag"
    assert cache.get(blob, {"Range": "bytes=5-9", "If-Range": etag}).status == 206
    for other in ('"other"', f"W/{etag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        reply = cache.get(blob, {"Range": "bytes=5-9", "If-Range": other})
        assert reply.status == 200 and reply.digest() == blob.digest, other


def test_conditions(cache, upstream):
    image = upstream.offers_image(tag="1")
    with Rows() as rows:
        for part in image.parts:
            etag = cache.get(part).header("etag")
            rows.check(etag and part.digest in etag, part.kind, etag)
            many = ", ".join(f'"{number}"' for number in range(500))
            for text, status in ((etag, 304), (f"W/{etag}", 304), ("*", 304), (f'"x", {etag}', 304), (f"{many}, {etag}", 304), ('"x"', 200), ("", 200), (many, 200)):
                for method in ("GET", "HEAD"):
                    reply = cache.get(part, {"If-None-Match": text}, method=method)
                    rows.check(reply.status == status, f"{method} {part.kind} {text[:40]}", reply)
                    rows.check(status != 304 or (reply.received == 0 and reply.header("etag") == etag), f"{method} {text[:40]}", reply)


def test_heads_say_what_a_get_would(cache, upstream):
    image = upstream.offers_image(tag="1")
    paths = [cache.path_of(part) for part in image.parts] + [cache.path_of("/v2/lab/app/tags/list")]
    with Rows() as rows:
        for path in paths:
            for turn in ("cold", "hot"):
                head, get = cache.get(path, method="HEAD"), cache.get(path)
                rows.check(head.status == get.status == 200, f"{turn} {path}", (head, get))
                for name in ("content-length", "content-type", "docker-content-digest", "etag"):
                    rows.check(head.header(name) == get.header(name), f"{turn} {path} {name}", (head.header(name), get.header(name)))


def test_a_connection_is_kept_and_closed_as_asked(cache, upstream):
    blob = upstream.offers()
    with cache.connect() as connection:
        for _ in range(50):
            assert connection.exchange("GET", cache.path_of(blob)).digest() == blob.digest
        assert connection.exchange("GET", "/nothing").status == 404, "an error of ours does not cost the connection"
        last = connection.exchange("GET", cache.path_of(blob), {"Connection": "close"})
        assert last.digest() == blob.digest and (last.header("connection") or "").lower() == "close"
        assert connection.closed_by_server(2)


def test_the_answer_says_where_it_came_from(cache, upstream):
    blob = upstream.offers("4MiB", hold_after="1MiB")
    first = cache.pull(blob).until_received(1000)
    second = cache.pull(blob).until_received(1000)
    blob.release()
    assert first.complete and second.complete
    cache.keeps(blob)
    assert (first.reply.cache, second.reply.cache, cache.get(blob).cache) == ("fetch", "follow", "hit")


def test_blobs_cannot_be_sniffed_into_pages(cache, upstream):
    blob = upstream.offers(data=b"<html><script>alert(1)</script></html>")
    for _ in range(2):
        reply = cache.get(blob)
        assert reply.header("x-content-type-options") == "nosniff" and reply.header("content-type") == "application/octet-stream", reply.headers


def test_metrics_add_up(cache, upstream):
    image = upstream.offers_image(layers=["1MiB", "200KiB"], tag="1")
    for _ in range(3):
        cache.tag(image, "1")
        for blob in image.blobs:
            cache.get(blob)
    size = sum(part.size for part in image.parts)
    until_stored = time.monotonic() + 5
    while cache.metric("store_blobs") < len(image.parts) and time.monotonic() < until_stored:
        time.sleep(0.05)
    end = time.monotonic() + 5
    while cache.metric("served_bytes_total") < 3 * size - 1 and time.monotonic() < end:
        time.sleep(0.05)
    with Rows() as rows:
        served = cache.metric("served_bytes_total")
        rows.check(3 * size <= served <= 3.1 * size + 10_000, "served_bytes_total", (served, 3 * size))
        came = cache.metric("upstream_bytes_total", login_server="upstream.test")
        rows.check(size <= came <= 1.1 * size + 10_000, "upstream_bytes_total", (came, size))
        rows.check(cache.metric("upstream_requests_total", kind="blob", login_server="upstream.test") == len(image.blobs), "upstream blob requests",
                   cache.metric("upstream_requests_total", kind="blob"))
        rows.check(cache.metric("store_blobs") == len(image.parts), "store_blobs", cache.metric("store_blobs"))
        rows.check(size <= cache.metric("store_bytes") <= size + len(image.parts) * 4096, "store_bytes", (cache.metric("store_bytes"), size))
        rows.check(cache.metric("store_capacity_bytes") == 4 << 30, "store_capacity_bytes", cache.metric("store_capacity_bytes"))
        rows.check(cache.metric("requests_total") >= 9, "requests_total", cache.metric("requests_total"))
        names = {name for name, _, _ in cache.metrics()}
        for name in ("fetches_total", "fetch_followers_total", "evictions_total", "digest_mismatches_total", "stale_served_total",
                     "connections", "loop_stall_seconds_bucket"):
            rows.check(f"entrepot_{name}" in names, f"{name} is missing", sorted(names))


def test_the_admin_listener_says_how_it_is(cache):
    assert cache.admin("/healthz")[0] == 200 and cache.admin("/readyz")[0] == 200
    status, text = cache.admin("/api/v1/status")
    assert status == 200 and isinstance(json.loads(text), dict)
    assert cache.admin("/nothing")[0] == 404
    assert cache.admin("/v2/")[0] == 404, "the registry protocol is spoken on its own listener only"


def test_rate_limits_of_upstream_are_shown(cache, upstream):
    image = upstream.offers_image(tag="1")
    for kind in ("manifest_get", "manifest_head"):
        upstream.always(kind, Answer(headers={"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"}))
    cache.tag(image, "1")
    assert cache.metric("ratelimit_remaining", login_server="upstream.test") == 76


def test_sigterm_lets_a_running_pull_end(cache, upstream):
    blob = upstream.offers("6MiB", rate="6MiB")
    pull = cache.pull(blob).until_received(1 << 20)
    status = cache.stop(timeout=30)
    assert status == 0
    pull.wait()
    assert not pull.complete or pull.digest() == blob.digest
    cache.start()

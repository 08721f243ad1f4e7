"""One fetch, however many wait for it: nobody paces it, nobody stops it, everybody sees bytes as they come."""
import socket
import time

from harness.story import Rows

MIB = 1 << 20


def test_three_clients_share_one_download(cache, upstream):
    blob = upstream.offers("10MiB", hold_after="1MiB")
    pulls = [cache.pull(blob) for _ in range(3)]
    upstream.until_requested(blob, times=1)
    blob.release()
    assert all(pull.digest() == blob.digest for pull in pulls)
    assert upstream.gets(blob) == 1 and cache.metric("fetch_followers_total") == 2


def test_fifty_clients_see_the_first_bytes_while_upstream_still_holds_the_rest(cache, upstream):
    blob = upstream.offers("8MiB", hold_after="1MiB")
    pulls = [cache.pull(blob) for _ in range(50)]
    for pull in pulls:
        pull.until_received(MIB // 2)
    assert all(pull.running for pull in pulls)
    blob.release()
    assert {pull.digest() for pull in pulls} == {blob.digest}
    assert upstream.gets(blob) == 1
    assert cache.metric("served_bytes_total", **{"from": "follow"}) >= 49 * blob.size


def test_a_late_joiner_starts_at_the_first_byte(cache, upstream):
    blob = upstream.offers("8MiB", hold_after="6MiB")
    early = cache.pull(blob).until_received(5 * MIB)
    late = cache.pull(blob).until_received(5 * MIB)
    blob.release()
    assert early.digest() == late.digest() == blob.digest and upstream.gets(blob) == 1
    assert late.reply.cache == "follow"


def test_a_manifest_fetches_nothing_that_nobody_asked_for(cache, upstream):
    image = upstream.offers_image(layers=["64KiB"] * 10)
    for method in ("HEAD", "GET"):                      # as docker and containerd begin
        assert cache.tag(image, image.tag, method=method).status == 200
    held, missing = image.layers[:8], image.layers[8:]  # the client's, from elsewhere: this cache has nothing yet
    for part in (image.manifest, image.config, *missing):
        assert cache.get(part).digest() == part.digest
    cache.keeps(image.config, *missing)
    assert [upstream.gets(layer) for layer in held] == [0] * 8
    assert len(upstream.asked("blob")) == 3


def test_a_slow_client_does_not_pace_the_fetch(cache, upstream):
    blob = upstream.offers("32MiB")
    slow = cache.pull(blob, rate=256 << 10, leave_after=512 << 10, receive_buffer=16 << 10).until_received(1)
    fast = cache.pull(blob)
    started = time.monotonic()
    assert fast.digest() == blob.digest
    assert time.monotonic() - started < 10 and upstream.gets(blob) == 1
    slow.wait()


def test_clients_that_leave_do_not_stop_the_fetch(cache, upstream):
    blob = upstream.offers("8MiB", hold_after="2MiB")
    leaving = [cache.pull(blob, leave_after=MIB) for _ in range(10)]
    for pull in leaving:
        pull.wait()
    blob.release()
    cache.keeps(blob)
    reply = cache.get(blob)
    assert reply.digest() == blob.digest and reply.cache == "hit" and upstream.gets(blob) == 1


def test_clients_that_reset_give_their_places_back_while_upstream_stands_still(cache, upstream):
    blob = upstream.offers("4MiB", hold_after="2MiB")
    staying = cache.pull(blob).until_received(MIB)
    leaving = [cache.connect() for _ in range(20)]
    for connection in leaving:
        connection.ask("GET", cache.path_of(blob))
        connection.reply_head()
    cache.until_metric("connections", 21)
    for connection in leaving:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    end = time.monotonic() + 3
    while cache.metric("connections") > 1:
        assert time.monotonic() < end, f"{cache.metric('connections'):.0f} connections are still held"
        time.sleep(0.02)
    blob.release()
    assert staying.digest() == blob.digest and upstream.gets(blob) == 1


def test_a_client_that_half_closes_follows_a_fetch_to_its_end(cache, upstream):
    blob = upstream.offers("2MiB", rate="4MiB")
    answer = cache.raw(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % cache.path_of(blob).encode(), half_close=True)
    assert answer.split(b"\r\n\r\n", 1)[1] == blob.data


def test_a_client_that_resets_in_the_middle_harms_nobody(cache, upstream):
    blob = upstream.offers("16MiB", rate="16MiB")
    staying = cache.pull(blob)
    leaving = [cache.pull(blob, leave_after=64 << 10, receive_buffer=8 << 10) for _ in range(30)]
    assert staying.digest() == blob.digest and upstream.gets(blob) == 1
    for pull in leaving:
        pull.wait()


def test_three_hundred_clients_on_one_cold_blob(cache, upstream):
    blob = upstream.offers("2MiB", rate="4MiB")
    pulls = [cache.pull(blob) for _ in range(300)]
    assert {pull.digest() for pull in pulls} == {blob.digest}
    assert upstream.gets(blob) == 1


def test_a_cold_tag_is_asked_for_once(cache, upstream):
    image = upstream.offers_image(tag="1")
    upstream.always("manifest_get", None)
    image.manifest.answer.delay = 0.3
    path = cache.path_of("/v2/lab/app/manifests/1")
    pulls = [cache.pull(path, {"Accept": image.manifest.media_type}) for _ in range(30)]
    assert {pull.digest() for pull in pulls} == {image.manifest.digest}
    assert len(upstream.asked("manifest_get")) == 1 and len(upstream.asked("manifest_head")) <= 1


def test_a_whole_image_at_once_by_many_clients_asks_each_blob_once(cache, upstream):
    image = upstream.offers_image(layers=["512KiB"] * 8, tag="1")
    pulls = [(part, cache.pull(part)) for _ in range(12) for part in image.parts]
    with Rows() as rows:
        for part, pull in pulls:
            rows.check(pull.digest() == part.digest, part.path, pull.reply)
        for part in image.parts:
            rows.check(upstream.gets(part) == 1, part.path, f"{upstream.gets(part)} GETs")


def test_parallel_ranges_of_a_cold_blob_share_one_fetch(cache, upstream):
    blob = upstream.offers("8MiB", rate="32MiB")
    step = 2 * MIB
    parts = [cache.pull(blob, {"Range": f"bytes={first}-"}, leave_after=step) for first in range(0, blob.size, step)]
    with Rows() as rows:
        for number, part in enumerate(parts):
            part.wait()
            first = number * step
            rows.check(part.reply.status == 206 and part.reply.body[:step] == blob.data[first:first + step], first, part.reply)
    assert upstream.gets(blob) == 1


def test_the_same_digest_in_two_repositories_is_stored_once(cache, upstream):
    data = b"shared layer" * 10000
    one, two = (upstream.offers(data=data, repository=name) for name in ("lab/one", "lab/two"))
    assert cache.get(one).digest() == cache.get(two).digest() == one.digest
    cache.keeps(one, two)
    assert len(list(cache.blob_files())) == 1


def test_a_head_of_a_cold_blob_tells_length_and_digest(cache, upstream):
    blob = upstream.offers("3MiB")
    head = cache.head(blob)
    assert head.status == 200 and head.length == blob.size and head.header("docker-content-digest") == blob.digest
    assert cache.get(blob).digest() == blob.digest


def test_one_hot_client_is_served_while_many_read_cold(cache, upstream):
    hot = upstream.offers("2KiB")
    assert cache.get(hot).digest() == hot.digest
    cold = [upstream.offers("4MiB", rate="8MiB") for _ in range(16)]
    pulls = [cache.pull(blob) for blob in cold]
    answers, slowest = 0, 0
    while any(pull.running for pull in pulls):
        started = time.monotonic()
        assert cache.get(hot).digest() == hot.digest
        slowest = max(slowest, time.monotonic() - started)
        answers += 1
    assert all(pull.digest() == blob.digest for pull, blob in zip(pulls, cold))
    assert answers > len(cold), f"{answers} answers while {len(cold)} blobs came in"
    assert slowest < 1.0

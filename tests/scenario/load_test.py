"""Many clients, slow clients, clients that say nothing: each has its bound, and the others do not feel it."""
import os
import resource
import socket
import threading
import time

from harness.client import Connection
from harness.story import Rows
from harness.upstream import Bearer

HEAD_DEADLINE_S = 10


def crowd(cache, count):
    """`count` connections that are open and silent."""
    found = []
    for _ in range(count):
        one = socket.socket()
        one.settimeout(30)
        one.connect(cache.address)
        found.append(one)
    return found


def test_a_head_that_dribbles_in_ends_at_the_total_deadline(cache, upstream):
    """D01: an idle timeout alone would let each byte buy more time."""
    hot = upstream.offers("2KiB")
    cache.get(hot)
    slow = crowd(cache, 200)
    started = time.monotonic()
    head = b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 1000
    ended = {}
    position = 0
    while len(ended) < len(slow) and time.monotonic() - started < HEAD_DEADLINE_S + 8:
        for number, one in enumerate(slow):
            if number in ended:
                continue
            try:
                one.send(head[position:position + 1])
                one.setblocking(False)
                if one.recv(4096) == b"":
                    ended[number] = time.monotonic() - started
            except BlockingIOError:
                pass
            except OSError:
                ended[number] = time.monotonic() - started
        asked = time.monotonic()
        assert cache.get(hot).digest() == hot.digest and time.monotonic() - asked < 1
        position += 1
        time.sleep(0.5)
    for one in slow:
        one.close()
    assert len(ended) == len(slow), f"{len(slow) - len(ended)} of {len(slow)} still stand after {HEAD_DEADLINE_S + 8} s"
    assert min(ended.values()) > 2, "a slow but honest head has some seconds"


def test_silent_connections_are_cheap_and_harm_nobody(cache, upstream):
    hot = upstream.offers("2KiB")
    cache.get(hot)
    cache.get(hot)
    before = cache.memory_bytes()
    silent = crowd(cache, 2000)
    cache.until_metric("connections", 2000)
    grown = cache.memory_bytes() - before
    assert cache.get(hot).digest() == hot.digest
    for one in silent:
        one.close()
    assert grown <= 2000 * 4096 + (2 << 20), f"D02: {grown / 2000:.0f} bytes for each idle connection"


def test_idle_connections_after_a_request_are_as_cheap(cache, upstream):
    """What the first thousand bring along once (buffers, tables) is not theirs; the next six thousand are counted."""
    hot = upstream.offers("2KiB")
    cache.get(hot)
    kept, memory = [], []
    for count in (1000, 7000):
        while len(kept) < count:
            kept.append(cache.connect())
            assert kept[-1].exchange("GET", cache.path_of(hot)).digest() == hot.digest
        memory.append(cache.memory_bytes())
    for connection in kept:
        connection.close()
    each = (memory[1] - memory[0]) / 6000
    assert each <= 4096, f"{each:.0f} bytes for each kept connection"


def test_slow_readers_cost_no_memory(cache, upstream):
    blob = upstream.offers("24MiB")
    assert cache.get(blob).digest() == blob.digest
    before = cache.memory_bytes()
    slow = [cache.pull(blob, rate=64 << 10, leave_after=160 << 10, receive_buffer=4096) for _ in range(200)]
    for pull in slow:
        pull.until_received(1, timeout=30)
    grown = cache.memory_bytes() - before
    started = time.monotonic()
    assert cache.get(blob).digest() == blob.digest
    assert time.monotonic() - started < 10, "D03: a fast reader beside 200 slow ones"
    assert grown < 200 * (64 << 10) + (8 << 20), f"{grown >> 20} MiB for 200 slow readers"
    for pull in slow:
        pull.wait()


def test_thousands_of_connects_and_closes_leak_nothing(cache):
    before = len(os.listdir(f"/proc/{cache.process.pid}/fd"))
    for _ in range(5000):
        one = socket.socket()
        one.connect(cache.address)
        one.close()
    end = time.monotonic() + 10
    while len(os.listdir(f"/proc/{cache.process.pid}/fd")) > before + 4:
        assert time.monotonic() < end, f"D04: {len(os.listdir(f'/proc/{cache.process.pid}/fd'))} descriptors, {before} before"
        time.sleep(0.1)


def test_a_crowd_pulls_one_cold_image_with_one_token_and_one_get_each(make_cache, make_upstream, make_tokens):
    tokens = make_tokens(username="lab", password="correct horse")
    upstream = make_upstream(guard=Bearer(tokens))
    image = upstream.offers_image(layers=["256KiB"] * 4, tag="1")
    cache = make_cache(upstream, credentials=("lab", "correct horse"), upstream={"realms": [f"{tokens.url}/token"]})
    faults = []

    def client():
        with cache.connect(timeout=60) as connection:
            tag = connection.exchange("GET", cache.path_of("/v2/lab/app/manifests/1"), {"Accept": image.manifest.media_type})
            if tag.digest() != image.manifest.digest:
                faults.append(tag)
            for blob in image.blobs:
                reply = connection.exchange("GET", cache.path_of(blob))
                if reply.digest() != blob.digest:
                    faults.append(reply)

    clients = [threading.Thread(target=client) for _ in range(150)]
    for one in clients:
        one.start()
    for one in clients:
        one.join(80)
    assert not faults, faults[:3]
    with Rows() as rows:
        for blob in image.blobs:
            rows.check(upstream.gets(blob) == len([r for r in upstream.asked(path=blob.path) if r.header("authorization")]) == 1
                       or upstream.gets(blob) <= 2, blob.path, upstream.gets(blob))
        rows.check(len(tokens.seen()) == 1, "tokens", len(tokens.seen()))
        got = [r for r in upstream.asked("manifest_get") if r.header("authorization")]
        rows.check(len(got) <= 1, "manifest GETs with a token", len(got))


def test_one_client_with_hundreds_of_cold_pulls_keeps_nobody_else_waiting(make_cache, upstream):
    """D11: more long transfers than a shard has exchanges with an upstream, from one address; another address pulls a cold image meanwhile."""
    count, exchanges = 320, 256
    held = [upstream.offers("96KiB", hold_after="4KiB") for _ in range(count)]
    image = upstream.offers_image(layers=["256KiB"] * 3, tag="1")
    hot = upstream.offers("2KiB")
    cache = make_cache(upstream, shards=1)
    cache.get(hot)
    greedy = []
    for blob in held:
        greedy.append(cache.connect(timeout=60))
        greedy[-1].ask("GET", cache.path_of(blob))
    cache.until_metric("upstream_waiting", count - exchanges // 2, timeout=30)
    with Rows() as rows:
        rows.check(cache.metric("upstream_exchanges") == exchanges // 2, "one client has half of the exchanges", cache.metric("upstream_exchanges"))
        rows.check(cache.metric("upstream_waiting_clients") == 1, "and is the only one who waits", cache.metric("upstream_waiting_clients"))
        started = time.monotonic()
        for path, what in [(image.manifest.by("1"), image.manifest), *((blob.path, blob) for blob in image.blobs)]:
            reply = cache.get(cache.path_of(path), {"Accept": image.manifest.media_type}, source="127.0.0.2", timeout=60)
            rows.check(reply.digest() == what.digest, f"the other client's {path}", reply)
        took = time.monotonic() - started
        rows.check(took < 5, "the other client's cold image, s", took)
        started = time.monotonic()
        rows.check(cache.get(hot).digest() == hot.digest and time.monotonic() - started < 1, "what is hot", time.monotonic() - started)
        # The last in the first client's line is asked for at once when the other client wants it too.
        rows.check(upstream.gets(held[-1]) == 0, "the last in line", upstream.gets(held[-1]))
        with cache.connect(source="127.0.0.2", timeout=60) as joining:
            joining.ask("GET", cache.path_of(held[-1]))
            upstream.until_requested(held[-1], timeout=5)
            for blob in held:
                blob.release()
            rows.check(joining.reply().digest() == held[-1].digest, "what both want", "")
        for blob, connection in zip(held, greedy):
            reply = connection.reply()
            rows.check(reply.digest() == blob.digest, "the first client's own, each in its turn", reply)
            connection.close()
        rows.check(all(upstream.gets(blob) == 1 for blob in held), "one GET each", "")


def test_descriptors_run_out_and_come_back(make_cache, upstream):
    def few_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    blob = upstream.offers("64KiB")
    cache = make_cache(upstream, limits=few_descriptors, start=False)
    cache.start()
    assert cache.get(blob).digest() == blob.digest
    many = []
    for _ in range(400):
        one = socket.socket()
        one.settimeout(1)
        try:
            one.connect(cache.address)
        except OSError:
            pass
        many.append(one)
    time.sleep(0.5)
    assert cache.alive
    for one in many:
        one.close()
    end = time.monotonic() + 10
    while True:
        try:
            with Connection(cache.address, timeout=2) as connection:
                if connection.exchange("GET", cache.path_of(blob)).digest() == blob.digest:
                    break
        except OSError:
            pass
        assert time.monotonic() < end, "it does not recover when descriptors come back"
        time.sleep(0.2)


for alone in (test_silent_connections_are_cheap_and_harm_nobody, test_idle_connections_after_a_request_are_as_cheap):
    alone.alone = True

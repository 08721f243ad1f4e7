"""D14: one shard's thread stands still for seconds, as one that a disk or a debugger holds. The others serve, it is said, and nothing is lost."""
import time

from harness.client import Connection
from harness.story import Rows, skip
from harness.thread import StoppedThread

SHARDS = 2
STALL_S = 6


def owner_of(offer):
    """The shard that owns a digest: its first eight bytes, little-endian, modulo the number of shards."""
    return int.from_bytes(bytes.fromhex(offer.digest.split(":")[1][:16]), "little") % SHARDS


def offers_of(upstream, shard, count, size="8KiB"):
    """`count` blobs that this shard owns."""
    found = []
    while len(found) < count:
        offer = upstream.offers(size)
        if owner_of(offer) == shard:
            found.append(offer)
    return found


def stopped(cache, name):
    try:
        return StoppedThread(cache.process.pid, name).__enter__()
    except PermissionError as reason:
        skip(str(reason))


def answers(connections, timeout=1.5):
    """Those on which an answer comes within the time, and the others. Each was asked something before."""
    ready, silent = [], []
    end = time.monotonic() + timeout
    for connection in connections:
        connection.socket.settimeout(max(0.02, end - time.monotonic()))
        try:
            assert connection.reply().status == 200
            ready.append(connection)
        except TimeoutError:
            silent.append(connection)
        connection.socket.settimeout(30)
    return ready, silent


def ask_all(connections, path):
    for connection in connections:
        connection.ask("GET", path)
    return connections


def pulls_whole(cache, connection, offer):
    return connection.exchange("GET", cache.path_of(offer)).digest() == offer.digest


def test_one_shard_stands_still_and_the_others_serve(make_cache, upstream):
    cache = make_cache(upstream, shards=SHARDS)
    ours, theirs = offers_of(upstream, 0, 40), offers_of(upstream, 1, 40)
    for offer in ours[:20] + theirs[:20]:
        assert cache.get(offer).digest() == offer.digest
    cache.keeps(*ours[:20], *theirs[:20])
    connections = [cache.connect(timeout=30) for _ in range(60)]
    answers(ask_all(connections, "/v2/"), timeout=10)
    memory = cache.memory_bytes()
    thread = stopped(cache, "shard-1")
    try:
        alive, silent = answers(ask_all(connections, "/v2/"))
        assert len(alive) >= 20 and len(silent) >= 20, "connections are spread over the shards"
        with Rows() as rows:
            for offer, connection in zip(ours, alive):          # twenty stored ones, then some that are fetched now
                rows.check(pulls_whole(cache, connection, offer), f"of the shard that turns, {owner_of(offer)}", offer.path)
        waiting = list(zip(theirs, alive))[:20] + list(zip(theirs[20:], alive[20:]))
        for offer, connection in waiting:
            connection.ask("GET", cache.path_of(offer))
        left = [Connection(cache.address) for _ in range(10)]
        for one in left:
            one.ask("GET", cache.path_of(theirs[0]))
            one.close()
        cache.until_metric("shard_away_seconds", 2, shard="1")
        assert cache.metric("shard_away_seconds", shard="0") == 0 and cache.metric("shard_stalls_total") == 1
        status, text = cache.admin("/readyz")
        assert status == 503 and "shard 1 has not turned" in text, text
        assert cache.admin("/healthz")[0] == 200
        late = [cache.connect(timeout=30) for _ in range(30)]
        served, _ = answers(ask_all(late, "/v2/"))
        assert len(served) >= 5, f"{len(served)} of 30 new connections are served: the shard that turns keeps what it accepts"
        grown = cache.memory_bytes() - memory
        assert grown < (4 << 20), f"{grown} bytes for what waits"
        thread.until(STALL_S)
    finally:
        thread.__exit__()
    with Rows() as rows:
        for offer, connection in waiting:
            rows.check(connection.reply().digest() == offer.digest, "waited for its owner, and is whole", offer.path)
        for connection in silent + [one for one in late if one not in served]:
            rows.check(connection.reply().status == 200, "waited on the shard itself")
        for connection in connections:
            rows.check(pulls_whole(cache, connection, theirs[0]), "all is well again")
    for connection in connections + late:
        connection.close()
    end = time.monotonic() + 5
    while cache.admin("/readyz")[0] != 200 or cache.metric("shard_away_seconds") > 0:
        assert time.monotonic() < end, "it is not ready again"
        time.sleep(0.1)
    said = [line for line in cache.log().splitlines() if "shard 1 " in line]
    assert len([line for line in said if "has not turned" in line and "is stopped" in line]) == 2, said     # after 2 and 4 s
    assert len([line for line in said if "turns again" in line]) == 1, said


def test_the_shard_of_the_admin_listener_stands_still(make_cache, upstream):
    """Nobody answers for health then, which is an answer too; pulls of what the other shard has open go on."""
    cache = make_cache(upstream, shards=SHARDS)
    offer = offers_of(upstream, 1, 1)[0]
    cache.get(offer)
    cache.keeps(offer)
    connections = [cache.connect(timeout=30) for _ in range(20)]
    # Both shards have it open: who opens a blob asks the store's book, and that is kept on shard 0.
    assert all(pulls_whole(cache, one, offer) for one in connections)
    thread = stopped(cache, "shard-0")
    try:
        alive, silent = answers(ask_all(connections, "/v2/"))
        assert alive and silent and all(pulls_whole(cache, one, offer) for one in alive)
        thread.until(STALL_S)
        assert "shard 0 has not turned" in cache.log()
    finally:
        thread.__exit__()
    assert all(one.reply().status == 200 for one in silent)
    for one in connections:
        one.close()


def test_it_is_asked_to_end_while_a_shard_stands_still(make_cache, upstream):
    """The end waits for the shard, and is an orderly one."""
    cache = make_cache(upstream, shards=SHARDS)
    cache.get(upstream.offers())
    thread = stopped(cache, "shard-1")
    try:
        cache.process.terminate()
        thread.until(3)
        assert cache.alive
    finally:
        thread.__exit__()
    assert cache.process.wait(20) == 0, cache.log()
    cache.start()

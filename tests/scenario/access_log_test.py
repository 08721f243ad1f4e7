"""The access log: what was asked, by whom, and what became of it; for people, for their tools, and for entrepot-load to ask again."""
import json
import os
import signal
import subprocess
import time

from harness.api import Api
from harness.cache import ROOT

CLIENT = f"{ROOT}/build/entrepot-load"


def logged(cache, count, name="access.log", timeout=10):
    """The records, once there are as many. Each shard writes its own in their order."""
    end = time.monotonic() + timeout
    while True:
        with open(f"{cache.directory}/{name}", encoding="ascii") as file:
            lines = file.read().splitlines()
        if len(lines) >= count:
            return sorted((json.loads(line) for line in lines), key=lambda one: one["timestamp"])
        assert time.monotonic() < end, f"{len(lines)} of {count} lines after {timeout} s"
        time.sleep(0.05)


def logging(make_cache, upstream, directory, **words):
    cache = make_cache(upstream, start=False, **words)
    cache.settings.server["access_log"] = f"{cache.directory}/access.log"
    cache.start()
    return cache


def test_each_request_leaves_a_line_that_says_what_became_of_it(make_cache, upstream, directory):
    image = upstream.offers_image(layers=["300KiB"], tag="1")
    cache = logging(make_cache, upstream, directory)
    layer = image.layers[0]
    assert cache.tag(image, "1").status == 200
    assert cache.get(layer).status == 200
    cache.until_metric("store_blobs", 2)
    assert cache.get(layer, headers={"Range": "bytes=0-999", "User-Agent": 'skopeo/1 "quoted"'}).status == 206
    assert cache.get(layer, method="HEAD").status == 200
    assert cache.get("/v2/nobody/knows/manifests/1").status == 404
    cache.raw(b"GET / HTTP/1.1\nHost: x\n\n")
    records = logged(cache, 6)
    tag, first, part, head, unknown, unread = records
    assert tag["http.request.uri"].endswith("/manifests/1") and tag["entrepot.cache"] == "fetch", tag
    assert first["http.response.written"] == layer.size and first["http.response.status"] == 200 and first["entrepot.cache"] == "fetch", first
    assert part["http.response.written"] == 1000 and part["http.response.status"] == 206 and part["entrepot.cache"] == "hit", part
    assert part["http.request.useragent"] == 'skopeo/1 "quoted"', part
    assert head["http.request.method"] == "HEAD" and head["http.response.written"] == 0, head
    assert unknown["http.response.status"] == 404 and "entrepot.cache" not in unknown, unknown
    assert unread["http.response.status"] == 400 and "http.request.method" not in unread, unread
    assert all(one["http.request.remoteaddr"].startswith("127.0.0.1:") for one in records)
    now = time.strftime("%Y-%m-%dT%H", time.gmtime())
    assert all(one["timestamp"][:13] <= now and one["http.request.duration"] >= 0 for one in records)
    assert os.stat(f"{cache.directory}/access.log").st_mode & 0o777 == 0o640
    assert cache.metric("access_log_dropped_total") == 0


def test_a_list_from_memory_is_told_as_stale(make_cache, upstream, directory):
    image = upstream.offers_image(tag="1")
    cache = logging(make_cache, upstream, directory)
    assert cache.tag(image, "1").status == 200
    upstream.stop()
    reply = cache.get(f"/v2/{cache.login_server}/{image.manifest.repository}/tags/list")
    assert reply.status == 200 and reply.cache == "stale", reply
    assert logged(cache, 2)[-1]["entrepot.cache"] == "stale"


def test_an_answer_that_was_cut_short_says_so(make_cache, upstream, directory):
    blob = upstream.offers("1MiB", corrupt_at=-1)
    cache = logging(make_cache, upstream, directory)
    assert not cache.pull(blob).complete
    aborted = [one for one in logged(cache, 1) if one.get("entrepot.aborted")]
    assert aborted and aborted[0]["http.response.written"] < blob.size, aborted


def test_who_logged_in_is_named_and_no_secret_is(make_cache, upstream, directory):
    blob = upstream.offers("64KiB")
    cache = logging(make_cache, upstream, directory, rule={"pull": ["alice"]})
    Api(cache).create("accounts", "alice", {"password": "correct horse battery"})
    login = {"Authorization": "Basic YWxpY2U6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"}     # alice, correct horse battery
    assert cache.get(blob).status == 401
    assert cache.get(blob, headers=login).status == 200
    stranger, alice = logged(cache, 2)
    assert "auth.user.name" not in stranger and stranger["http.response.status"] == 401
    assert alice["auth.user.name"] == "alice" and alice["http.response.status"] == 200
    with open(f"{cache.directory}/access.log", encoding="ascii") as file:
        text = file.read()
    assert "YWxpY2U6" not in text and "horse" not in text


def test_a_rotated_log_is_begun_anew(make_cache, upstream, directory):
    blob = upstream.offers("1KiB")
    cache = logging(make_cache, upstream, directory)
    cache.get(blob)
    logged(cache, 1)
    os.rename(f"{cache.directory}/access.log", f"{cache.directory}/access.log.1")
    os.kill(cache.process.pid, signal.SIGHUP)
    end = time.monotonic() + 10
    while not os.path.exists(f"{cache.directory}/access.log"):
        assert time.monotonic() < end
        time.sleep(0.02)
    cache.get(blob)
    assert len(logged(cache, 1)) == 1 and len(logged(cache, 1, "access.log.1")) == 1
    cache.stop()
    cache.start()
    cache.get(blob)
    assert len(logged(cache, 2)) == 2, "a restart appends"


def test_what_was_logged_can_be_asked_again(make_cache, upstream, directory):
    blobs = [upstream.offers("2KiB") for _ in range(3)]
    cache = logging(make_cache, upstream, directory)
    for index in (0, 1, 0, 2, 0):
        assert cache.get(blobs[index]).status == 200
    cache.get("/v2/nobody/knows/manifests/1")
    cache.raw(b"GET / HTTP/1.1\nHost: x\n\n")
    logged(cache, 7)
    log = f"{directory}/to-replay.json"
    os.rename(f"{cache.directory}/access.log", log)
    found = subprocess.run([CLIENT, "--json", "--quiet", "--verify", "--replay", log, f"http://127.0.0.1:{cache.port}"], check=True,
                           capture_output=True, text=True, timeout=60)
    result = json.loads(found.stdout)
    assert result["completed"] == 6 and result["failed"] == 0 and result["log_passed_over"] == 1, result
    assert result["statuses"] == {"200": 5, "404": 1} and result["verified"] == 5, result
    assert [upstream.gets(blob) for blob in blobs] == [1, 1, 1]


def test_a_log_that_cannot_be_written_is_said_at_the_start(make_cache, upstream, directory):
    cache = make_cache(upstream, start=False)
    cache.settings.server["access_log"] = f"{cache.directory}/none/access.log"
    cache.expect_death = True
    cache.start(ready=False)
    assert cache.process.wait(30) == 1
    assert f"[server] access_log: cannot append to {cache.directory}/none/access.log: No such file or directory" in cache.log()


def test_a_full_disk_costs_lines_and_no_pull(make_cache, upstream, directory):
    blob = upstream.offers("1KiB")
    cache = make_cache(upstream, start=False)
    cache.settings.server["access_log"] = "/dev/full"
    cache.start()
    for _ in range(3):
        assert cache.get(blob).status == 200
    cache.until_metric("access_log_dropped_total", 3)
    assert cache.log().count("the access log cannot be written (No space left on device)") == 1

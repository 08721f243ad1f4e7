"""An operator looks at what is stored, refreshes it and takes it away; nobody's pull fails for it."""
import json
import threading
import time
import urllib.parse

from harness.api import Api, Refused
from harness.origin import Answer
from harness.story import Rows
from harness.upstream import CONFIG, LAYER, MANIFEST, descriptor

ACCEPT = {"Accept": MANIFEST}


def offers_pair(upstream, repository="lab/app", shared="300KiB", own="200KiB"):
    """Two images with one layer in common; each a dictionary of its parts."""
    common = upstream.offers(shared, repository, seed="common")
    pair = []
    for name in ("one", "two"):
        layer = upstream.offers(own, repository, seed=f"{name}'s own")
        config = upstream.offers(repository=repository, data=json.dumps({"architecture": "amd64", "os": "linux", "of": name}).encode())
        manifest = upstream.offers_manifest({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config, CONFIG),
                                             "layers": [descriptor(common, LAYER), descriptor(layer, LAYER)]}, repository, tag=name)
        pair.append({"manifest": manifest, "config": config, "layer": layer, "common": common})
    return pair


def pull(cache, image, tag):
    replies = [cache.tag(image["manifest"].repository, tag)] + [cache.get(image[part], ACCEPT) for part in ("manifest", "config", "layer", "common")]
    assert all(reply.status == 200 for reply in replies), replies
    cache.keeps(*image.values())
    until_known(Api(cache), f"{target_of(cache, image['manifest'].repository)}:{tag}")


def explain(api, reference, **query):
    return api.get("/explain?" + urllib.parse.urlencode({"reference": reference, **query}))


def until_known(api, reference, timeout=30):
    """Until the tag's record, which follows its answer, is written."""
    end = time.monotonic() + timeout
    while not explain(api, reference)["stored"]["tag"]:
        assert time.monotonic() < end, f"{reference} is not recorded after {timeout} s"
        time.sleep(0.01)


def target_of(cache, repository="lab/app"):
    return f"{cache.login_server}/{repository}"


def test_purge_by_each_selector_takes_what_nobody_else_has(make_cache, upstream):
    one, two = offers_pair(upstream)
    with Rows() as rows:
        for selector, counts, gone in (
                (lambda repository: {"repository": repository, "tag": "one"}, (1, 1, 2, 1), [one["manifest"], one["config"], one["layer"]]),
                (lambda repository: {"repository": repository, "digest": one["manifest"].digest}, (1, 1, 2, 1), [one["manifest"], one["config"], one["layer"]]),
                (lambda repository: {"repository": repository, "digest": one["common"].digest}, (0, 0, 1, 0), [one["common"]]),
                (lambda repository: {"repository": repository}, (2, 2, 5, 0), [*one.values(), *two.values()]),
                (lambda repository: {"rule": "rule0"}, (2, 2, 5, 0), [*one.values(), *two.values()])):
            cache = make_cache(upstream)
            api = Api(cache).described()
            pull(cache, one, "one")
            pull(cache, two, "two")
            order = selector(target_of(cache))
            told = api.must("POST", "/purge?dryRun=true", order)
            rows.check(all(cache.blob_file(part) for part in [*one.values(), *two.values()]), f"{order}: a dry run", "took something")
            done = api.must("POST", "/purge", order)
            rows.check(told == done, f"{order}: the dry run", f"{told} != {done}")
            rows.check((done["tags"], done["manifests"], done["blobs"], done["kept"]) == counts, order, done)
            for part in {part.digest: part for part in [*one.values(), *two.values()]}.values():
                rows.check(bool(cache.blob_file(part)) != (part.digest in [away.digest for away in gone]), f"{order}: {part.kind} {part.size}", "is wrong")
            before = {part.digest: upstream.gets(part) for part in gone}
            pull(cache, one, "one")
            pull(cache, two, "two")
            again = {part.digest: upstream.gets(part) - before[part.digest] for part in gone if part.kind == "blobs"}
            rows.check(all(gets == 1 for gets in again.values()), f"{order}: one GET each", again)


test_purge_by_each_selector_takes_what_nobody_else_has.limit_s = 90


def test_what_another_repository_has_stays(make_cache, upstream):
    one, _ = offers_pair(upstream)
    other, _ = offers_pair(upstream, repository="lab/other")
    cache = make_cache(upstream)
    pull(cache, one, "one")
    pull(cache, other, "one")
    done = Api(cache).must("POST", "/purge", {"repository": target_of(cache)})
    assert done["tags"] == 1 and done["blobs"] == 0 and done["kept"] == 4, done
    upstream.stop()
    for part in other.values():
        assert cache.get(part, ACCEPT).digest() == part.digest
    assert cache.get(one["layer"]).status != 200, "a digest is no capability"
    upstream.start()


def test_a_reader_reads_on_while_its_blob_is_purged(make_cache, upstream):
    blob = upstream.offers("8MiB")
    cache = make_cache(upstream)
    cache.get(blob)
    cache.keeps(blob)
    reading = cache.pull(blob, rate=3 << 20, receive_buffer=16 << 10).until_received(1)
    fetching = upstream.offers("2MiB", hold_after="1MiB")
    coming = cache.pull(fetching).until_received(1)
    done = Api(cache).must("POST", "/purge", {"rule": "rule0"})
    assert done["blobs"] == 1 and not cache.blob_file(blob), done
    fetching.release()
    assert reading.digest() == blob.digest and coming.digest() == fetching.digest
    gets = upstream.gets(blob)
    assert cache.get(blob).digest() == blob.digest and upstream.gets(blob) == gets + 1


def test_no_pull_fails_while_content_is_purged_again_and_again(make_cache, upstream):
    images = dict(zip(("one", "two"), offers_pair(upstream)))
    cache = make_cache(upstream, tag_ttl="1s")
    stop, wrong, pulls = threading.Event(), [], [0]

    def work():
        while not stop.is_set():
            for tag, image in images.items():
                for reply, part in [(cache.tag("lab/app", tag), image["manifest"])] + [(cache.get(part, ACCEPT), part) for part in image.values()]:
                    pulls[0] += 1
                    if reply.status != 200 or reply.digest() != part.digest:
                        wrong.append(reply)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for one in workers:
        one.start()
    api, orders = Api(cache), [{"rule": "rule0"}, {"repository": target_of(cache), "tag": "one"}, {"repository": target_of(cache)},
                               {"repository": target_of(cache), "digest": images["two"]["manifest"].digest}]
    end, purges = time.monotonic() + 40, 0
    while (purges < 100 or pulls[0] < 200) and time.monotonic() < end:
        api.must("POST", "/purge", orders[purges % len(orders)])
        purges += 1
        time.sleep(0.02)
    stop.set()
    for one in workers:
        one.join()
    assert not wrong, f"{len(wrong)} of {pulls[0]} pulls during {purges} purges: {wrong[:3]}"
    assert pulls[0] > 50 and purges > 20, (pulls, purges)
    api.must("POST", "/purge", {"rule": "rule0"})
    assert cache.metric("store_bytes") == 0 and cache.metric("store_blobs") == 0


def test_a_kill_in_the_middle_of_a_purge_leaves_a_store_that_serves(make_cache, upstream):
    blobs = [upstream.offers("20KiB") for _ in range(300)]
    cache = make_cache(upstream)
    for _ in range(3):
        for blob in blobs:
            cache.get(blob)
        cache.keeps(*blobs[-5:])
        purging = threading.Thread(target=lambda: one_purge(cache))
        purging.start()
        time.sleep(0.01)
        cache.kill()
        purging.join()
        cache.start()
        for blob in blobs[::7]:
            assert cache.get(blob).digest() == blob.digest
        cache.check_store()


def one_purge(cache):
    try:
        Api(cache).must("POST", "/purge", {"rule": "rule0"})
    except (OSError, EOFError):
        pass
    except Exception as error:      # http.client has its own words for a server that dies
        if "Remote" not in type(error).__name__ and "Incomplete" not in type(error).__name__:
            raise


def test_sync_asks_now_and_every_shard_uses_the_answer(make_cache, upstream):
    old = upstream.offers_image(tag="1", seed="old")
    cache = make_cache(upstream, tag_ttl="1h")
    api = Api(cache).described()
    for _ in range(8):
        assert cache.tag(old, "1").digest() == old.manifest.digest
    until_known(api, f"{target_of(cache)}:1")
    new = upstream.offers_image(tag="1", seed="new")
    assert cache.tag(old, "1").digest() == old.manifest.digest
    answer = api.must("POST", "/sync", {"rule": "rule0", "repository": target_of(cache), "tag": "1"})
    assert answer["results"] == [{"repository": target_of(cache), "target": target_of(cache), "tag": "1", "before": old.manifest.digest, "after": new.manifest.digest,
                                  "outcome": "updated", "message": ""}], answer
    for _ in range(8):
        assert cache.tag(old, "1").digest() == new.manifest.digest
    answer = api.must("POST", "/sync", {"rule": "rule0"})
    assert [(one["tag"], one["outcome"]) for one in answer["results"]] == [("1", "unchanged")] and answer["next"] is None, answer
    upstream.always("any", Answer(500))
    answer = api.must("POST", "/sync", {"rule": "rule0"})
    assert answer["results"][0]["outcome"] == "failed" and "500" in answer["results"][0]["message"], answer
    assert cache.tag(old, "1").digest() == new.manifest.digest, "a failed sync takes nothing away"


def test_sync_of_a_rule_refreshes_what_is_known_under_it(make_cache, upstream):
    for number in range(60):
        image = upstream.offers_image(tag=f"t{number:02}", repository=f"lab/app{number % 3}", layers=["1KiB"], seed=number)
    cache = make_cache(upstream, tag_ttl="1h", rule={"tags": {"starts_with": "t"}, "deny": ["lab/app2"]})
    for number in range(60):
        cache.tag(f"lab/app{number % 3}", f"t{number:02}")
    for number in range(60):
        if number % 3 != 2:
            until_known(Api(cache), f"{target_of(cache, f'lab/app{number % 3}')}:t{number:02}")
    before = len(upstream.asked("manifest_head"))
    answer = Api(cache).described().must("POST", "/sync", {"rule": "rule0"})
    assert len(answer["results"]) == 40 and {one["outcome"] for one in answer["results"]} == {"unchanged"}, answer
    assert len(upstream.asked("manifest_head")) - before == 40
    with Rows() as rows:
        for order, status in (({"rule": "nobody"}, 404), ({"rule": "rule0", "tag": "t01"}, 400), ({"rule": "rule0", "repository": "No/Name", "tag": "t"}, 404),
                              ({"rule": "rule0", "repository": target_of(cache, "lab/app0"), "tag": "x"}, 409), ({"rule": "rule0", "tags": "x"}, 400), ({}, 400)):
            try:
                Api(cache).must("POST", "/sync", order)
                rows.check(False, order, "accepted")
            except Refused as refused:
                rows.check(refused.status == status, order, refused)


def test_explain_says_what_a_pull_then_does(make_cache, make_upstream):
    """Rows B3 and B4 of the overlap table, in every client style: the source that explain names is the one that a pull asks."""
    mcr, hub = make_upstream(login_server="mcr.test"), make_upstream(login_server="docker.io")
    rules = [{"name": name, "source": source, "target": target} for name, source, target in (
        ("all", "mcr.test/*", "*"), ("static", "docker.io/library/dotnet", "library/dotnet"), ("hub", "docker.io/*", "hub.example/*"))]
    cache = make_cache(mcr, hub, rules=rules[1:], server={"default_login_server": "docker.io"})
    wide = make_cache(mcr, hub, rules=rules[:2], server={"default_login_server": "docker.io"})
    nested = make_cache(mcr, hub, rules=[{"name": "dotnet", "source": "mcr.test/dotnet/*", "target": "library/dotnet/*"},
                                         {"name": "python", "source": "docker.io/library/*", "target": "library/python/*"}])
    table = (  # which cache, reference, style, rule, source, path of the request
        (wide, "myapp/image1:1", "target", "all", "mcr.test/myapp/image1", "/v2/myapp/image1"),
        (wide, "library/dotnet:1", "target", "static", "docker.io/library/dotnet", "/v2/library/dotnet"),
        (wide, "library/other:1", "target", "all", "mcr.test/library/other", "/v2/library/other"),
        (nested, "library/dotnet/app1:1", "target", "dotnet", "mcr.test/dotnet/app1", "/v2/library/dotnet/app1"),
        (nested, "library/python/a/b:1", "target", "python", "docker.io/library/a/b", "/v2/library/python/a/b"),
        (nested, "library/python:1", "target", None, None, "/v2/library/python"),
        (cache, "hub.example/team/app:1", "target", "hub", "docker.io/team/app", "/v2/hub.example/team/app"),
        (cache, "hub.example/alpine:1", "target", "hub", "docker.io/library/alpine", "/v2/hub.example/alpine"),
        (cache, "alpine:1", "root", "hub", "docker.io/library/alpine", "/v2/library/alpine"),
        (cache, "dotnet:1", "root", "static", "docker.io/library/dotnet", "/v2/library/dotnet"),
        (cache, "docker.io/team/app:1", "ns", "hub", "docker.io/team/app", "/v2/team/app?ns=docker.io"),
        (cache, "mcr.test/x:1", "ns", None, None, "/v2/x?ns=mcr.test"),
        (cache, "ghcr.io/owner/app:1", "target", None, None, "/v2/ghcr.io/owner/app"),
        (cache, f"127.0.0.1:{cache.port}/hub.example/team/app:1", "target", "hub", "docker.io/team/app", "/v2/hub.example/team/app"))
    with Rows() as rows:
        for number, (one, reference, style, rule, source, path) in enumerate(table):
            tag = f"tag{number}"        # a 404 is remembered for a while
            reference = reference.removesuffix(":1") + f":{tag}"
            answer = explain(Api(one).described(), reference, style=style)
            rows.check((answer["rule"], answer["sourceRepository"]) == (rule, source), f"{style} {reference}", answer)
            rows.check(answer["reason"] and (not rule or answer["considered"][0]["rule"] == rule), f"{style} {reference}, reason", answer)
            asked = {upstream: len(upstream.seen()) for upstream in (mcr, hub)}
            base, _, query = path.partition("?")
            one.get(f"{base}/manifests/{tag}" + (f"?{query}" if query else ""), ACCEPT)
            seen = [f"{upstream.login_server}/{request.path.removeprefix('/v2/').removesuffix(f'/manifests/{tag}')}"
                    for upstream in (mcr, hub) for request in upstream.seen()[asked[upstream]:] if "/manifests/" in request.path]
            rows.check(set(seen) == ({source} if source else set()), f"{style} {reference}, the pull", seen)


def test_explain_tells_the_losers_what_would_be_and_what_is_refused(make_cache, upstream):
    cache = make_cache(upstream, rules=[{"name": "wide", "source": "upstream.test/*", "target": "w/*", "deny": ["secret/**"], "tags": {"starts_with": "v"}},
                                        {"name": "exact", "source": "upstream.test/lab/app", "target": "w/lab/app"}])
    api = Api(cache).described()
    answer = explain(api, "w/lab/app:v1")
    assert answer["rule"] == "exact" and [one["rule"] for one in answer["considered"]] == ["exact", "wide"], answer
    assert "names exactly this repository" in answer["considered"][1]["verdict"], answer
    with Rows() as rows:
        for reference, word in (("w/secret/x:v1", "secret/**"), ("w/lab/other:latest", "start with")):
            answer = explain(api, reference)
            rows.check(answer["rule"] == "wide" and not answer["served"] and word in answer["reason"], reference, answer)
        rows.check(explain(api, "w/lab/other@sha256:" + "0" * 64)["served"], "digests pass the filter")
        what_if = api.must("POST", "/explain", {"reference": "new/x:1", "rule": {"name": "made-up", "sourceRepository": "upstream.test/x/*", "targetRepository": "new/*"}})
        rows.check(what_if["rule"] == "made-up" and what_if["sourceRepository"] == "upstream.test/x/x", "what if", what_if)
        rows.check(explain(api, "new/x:v1")["rule"] == "wide", "what if changes nothing")      # by the default login server
        for document, status in (({"reference": "new/x:1", "rule": {"sourceRepository": "upstream.test/*", "targetRepository": "w/lab/*"}}, 409),
                                 ({"reference": "new/x:1", "rule": {"sourceRepositry": "x"}}, 400), ({"reference": "UPPER/x"}, 400), ({"reference": "x@sha256:1"}, 400),
                                 ({"reference": "x", "style": "odd"}, 400), ({"reference": "ghcr.io/x/y", "style": "root"}, 400), ({}, 400)):
            try:
                api.must("POST", "/explain", document)
                rows.check(False, document, "accepted")
            except Refused as refused:
                rows.check(refused.status == status, document, refused)
    assert not upstream.seen(), "explain asks nobody"


def test_explain_tells_what_is_stored_and_probes_only_when_told(make_cache, upstream):
    one, _ = offers_pair(upstream)
    cache = make_cache(upstream, tag_ttl="1h")
    api = Api(cache).described()
    reference = f"{target_of(cache)}:one"
    stored = explain(api, reference)["stored"]
    assert stored == {"tag": None, "manifest": None, "blobs": {"present": 0, "missing": 0, "bytes": 0}}, stored
    cache.tag("lab/app", "one")
    cache.get(one["layer"])
    cache.keeps(one["layer"], one["manifest"])
    until_known(api, reference)
    before = len(upstream.seen())
    answer = explain(api, reference)
    stored = answer["stored"]
    assert stored["tag"]["digest"] == one["manifest"].digest and stored["tag"]["fresh"] and 0 <= stored["tag"]["ageSeconds"] < 60, stored
    assert stored["manifest"] == {"digest": one["manifest"].digest, "mediaType": MANIFEST, "size": one["manifest"].size, "present": True}, stored
    assert stored["blobs"] == {"present": 1, "missing": 2, "bytes": one["layer"].size}, stored
    assert len(upstream.seen()) == before and answer["probe"] is None
    files = sorted(cache.blob_files())
    answer = explain(api, reference, probe="true")
    assert answer["probe"] == {"digest": one["manifest"].digest, "error": None}, answer
    assert [request.method for request in upstream.seen()[before:]] == ["HEAD"] and sorted(cache.blob_files()) == files
    upstream.always("any", Answer(500))
    assert "500" in explain(api, reference, probe="true")["probe"]["error"]

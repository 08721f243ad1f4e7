"""What a rule serves and for how long: old answers by class of failure, tags and repositories by filters, images by platform."""
import json
import time

from harness.origin import Answer
from harness.story import Rows
from harness.upstream import INDEX, descriptor

CLASSES = {"network": (Answer(drop=True), {502, 504}), "server_error": (Answer(503), {502}), "rate_limit": (Answer(429), {429}),
           "denied": (Answer(403), {403}), "missing": (Answer(404), {404})}
ACCEPT = {"Accept": f"{INDEX}, application/vnd.oci.image.manifest.v1+json"}


def failing(make_upstream):
    """An upstream with one image for each class of failure."""
    upstreams = {name: make_upstream(login_server=f"{name.replace('_', '-')}.test") for name in CLASSES}
    return upstreams, {name: upstream.offers_image(tag="1") for name, upstream in upstreams.items()}


def ask(cache, upstreams, name):
    return cache.get(cache.path_of("/v2/lab/app/manifests/1", upstreams[name].login_server), ACCEPT)


def test_an_old_tag_outlives_each_class_of_failure_for_as_long_as_the_rule_says(make_cache, make_upstream):
    upstreams, images = failing(make_upstream)
    cache = make_cache(*upstreams.values(), tag_ttl="1s", rule={"stale": {name: "6s" for name in CLASSES}})
    for name in CLASSES:
        assert ask(cache, upstreams, name).status == 200
    known = time.monotonic()
    for name, (trouble, _) in CLASSES.items():
        upstreams[name].always("any", trouble)
    time.sleep(2.2)
    with Rows() as rows:
        for name in CLASSES:
            reply = ask(cache, upstreams, name)
            rows.check(reply.status == 200 and reply.cache == "stale" and reply.digest() == images[name].manifest.digest, f"{name} within", reply)
        time.sleep(max(0, known + 8 - time.monotonic()))
        for name, (_, statuses) in CLASSES.items():
            reply = ask(cache, upstreams, name)
            rows.check(reply.status in statuses, f"{name} beyond", reply)
        for name in ("network", "server_error"):
            upstreams[name].always("any", None)
        time.sleep(1.5)
        for name in ("network", "server_error"):
            reply = ask(cache, upstreams, name)
            rows.check(reply.status == 200 and reply.cache != "stale", f"{name} is over", reply)


def test_a_class_that_is_never_served_stale_is_answered_as_it_is_and_the_others_are_not_meant(make_cache, make_upstream):
    with Rows() as rows:
        for meant in CLASSES:
            upstreams, _ = failing(make_upstream)
            policy = {name: "never" if name == meant else "forever" for name in CLASSES}
            cache = make_cache(*upstreams.values(), tag_ttl="1s", rule={"stale": policy})
            for name in CLASSES:
                ask(cache, upstreams, name)
            for name, (trouble, _) in CLASSES.items():
                upstreams[name].always("any", trouble)
            time.sleep(2.2)
            for name, (_, statuses) in CLASSES.items():
                for attempt in range(8 if name == meant else 1):     # also once the circuit is open
                    reply = ask(cache, upstreams, name)
                    wanted = statuses if name == meant else {200}
                    rows.check(reply.status in wanted, f"{meant}=never: {name}, attempt {attempt}", reply)


test_a_class_that_is_never_served_stale_is_answered_as_it_is_and_the_others_are_not_meant.limit_s = 120


def test_what_a_rule_does_not_serve_is_404_names_the_rule_and_reaches_nobody(make_cache, upstream):
    image = upstream.offers_image(tag="v1", repository="team/app")
    for tag in ("v2", "latest"):
        upstream.tag(image.manifest, tag)
    upstream.offers_image(tag="v1", repository="team/secret")
    upstream.offers_image(tag="v1", repository="other/app")
    cache = make_cache(upstream, rule={"tags": {"starts_with": "v"}, "allow": ["team/*"], "deny": ["*/secret"]})
    with Rows() as rows:
        for path, word in (("team/app/manifests/latest", 'start with \\"v\\"'), ("team/secret/manifests/v1", "*/secret"), ("other/app/manifests/v1", "allow"),
                           ("team/secret/tags/list", "*/secret"), ("other/app/blobs/" + image.config.digest, "allow")):
            reply = cache.get(cache.path_of(f"/v2/{path}"), ACCEPT)
            rows.check(reply.status == 404 and b"cache rule 'rule0'" in reply.body and word.encode() in reply.body, path, reply.body)
        rows.check(not upstream.seen(), "asked upstream", upstream.seen())
        for path in ("team/app/manifests/v1", f"team/app/manifests/{image.manifest.digest}", f"team/app/blobs/{image.config.digest}"):
            rows.check(cache.get(cache.path_of(f"/v2/{path}"), ACCEPT).status == 200, path)
        listed = json.loads(cache.get(cache.path_of("/v2/team/app/tags/list")).body)["tags"]
        rows.check(listed == ["v1", "v2"], "tags/list", listed)


def test_under_platforms_an_index_is_whole_and_other_platforms_are_refused(make_cache, upstream):
    arm, amd = upstream.offers_image(tag="arm", seed="arm"), upstream.offers_image(tag="amd", seed="amd")
    config = json.loads(arm.config.data) | {"architecture": "arm64"}
    config = upstream.offers(data=json.dumps(config).encode())
    document = json.loads(arm.manifest.data)
    document["config"] = descriptor(config, document["config"]["mediaType"])
    arm = upstream.offers_manifest(document, tag="arm")
    children = [descriptor(arm, platform={"os": "linux", "architecture": "arm64"}), descriptor(amd.manifest, platform={"os": "linux", "architecture": "amd64"})]
    index = upstream.offers_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}, tag="all", media_type=INDEX)
    cache = make_cache(upstream, rule={"platforms": ["linux/amd64"]})
    with Rows() as rows:
        reply = cache.tag("lab/app", "all")
        rows.check(reply.status == 200 and reply.body == index.data, "the index", reply)
        rows.check(cache.get(amd.manifest, ACCEPT).digest() == amd.manifest.digest, "a child of the platform")
        time.sleep(0.2)         # the index's record follows its answer
        before = upstream.gets(arm)
        reply = cache.get(arm, ACCEPT)
        rows.check(reply.status == 404 and b"rule0" in reply.body and b"linux/arm64" in reply.body, "a child of another", reply.body)
        rows.check(upstream.gets(arm) == before, "upstream is not asked for it")
        rows.check(cache.tag("lab/app", "arm").status == 404, "another by tag")
        rows.check(cache.tag("lab/app", "amd").status == 200, "one by tag")
        cache.restart()
        upstream.stop()
        rows.check(cache.get(arm, ACCEPT).status == 404, "after a restart")
        rows.check(cache.get(amd.manifest, ACCEPT).status == 200, "after a restart, one of the platform")

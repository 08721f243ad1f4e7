"""Hostile manifests: they are bytes with a digest, and reading them must never cost more than they weigh."""
import json

from harness.origin import Answer
from harness.story import Rows
from harness.upstream import INDEX, LAYER, MANIFEST, descriptor, digest_of

MANIFEST_BYTES_MAX = 4 << 20
ACCEPT = {"Accept": f"{MANIFEST}, {INDEX}, application/vnd.docker.distribution.manifest.v2+json, */*"}


def by_tag(cache, tag, repository="lab/app"):
    return cache.get(cache.path_of(f"/v2/{repository}/manifests/{tag}"), ACCEPT)


def test_strange_json_is_refused_or_passed_byte_by_byte(cache, upstream):
    strange = {
        "C01 100,000 brackets": b"[" * 100_000, "C01 deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        "C04 1e999": b'{"schemaVersion":1e999}', "C04 a million digits": b'{"schemaVersion":' + b"9" * 1_000_000 + b"}",
        "C04 negative size": json.dumps({"layers": [{"mediaType": LAYER, "digest": digest_of(b"x"), "size": -1}]}).encode(),
        "C04 fractional size": json.dumps({"layers": [{"mediaType": LAYER, "digest": digest_of(b"x"), "size": 1.5}]}).encode(),
        "C04 size of 2^64": json.dumps({"layers": [{"mediaType": LAYER, "digest": digest_of(b"x"), "size": 2 ** 64}]}).encode(),
        "C11 escapes and markup": json.dumps({"schemaVersion": 2, "annotations": {"a": "\x1b[31m<script>\u202e"}}).encode(),
        "C14 no JSON": b"\x00\x01\x02 not json", "C14 empty object": b"{}", "C14 a string": b'"text"', "invalid UTF-8": b'{"a":"\xff\xfe"}',
        "layers that are no list": b'{"schemaVersion":2,"layers":7,"config":[],"manifests":"x"}',
        "descriptors that are no objects": b'{"schemaVersion":2,"layers":[1,null,"x",[]],"manifests":[{}]}',
        "a digest that is none": b'{"schemaVersion":2,"layers":[{"digest":"../../etc/passwd","size":1}]}',
        "half a document": b'{"schemaVersion":2,"layers":[{"dig', "C13 100,000 keys": json.dumps({f"k{n}": n for n in range(100_000)}).encode(),
    }
    with Rows() as rows:
        for number, (name, data) in enumerate(strange.items()):
            manifest = upstream.offers_manifest(data, tag=f"s{number}")
            for reply in (by_tag(cache, f"s{number}"), cache.get(manifest, ACCEPT)):
                exact = reply.status == 200 and reply.body == data
                rows.check(exact or reply.status == 502, name, reply)
        image = upstream.offers_image(tag="good")
        rows.check(by_tag(cache, "good").digest() == image.manifest.digest, "a good one afterwards")


def test_a_manifest_of_four_mebibytes_is_served_and_one_byte_more_is_not(cache, upstream):
    def padded(size):
        start = b'{"schemaVersion":2,"mediaType":"' + MANIFEST.encode() + b'","layers":[],"pad":"'
        return start + b"x" * (size - len(start) - 2) + b'"}'
    biggest = upstream.offers_manifest(padded(MANIFEST_BYTES_MAX), tag="biggest")
    reply = by_tag(cache, "biggest")
    assert reply.status == 200 and reply.digest() == biggest.digest, reply
    beyond = upstream.offers_manifest(padded(MANIFEST_BYTES_MAX + 1), tag="beyond")
    assert by_tag(cache, "beyond").status == 502
    assert cache.get(beyond, ACCEPT).status == 502 and cache.blob_file(beyond) is None


def test_a_manifest_without_end_is_given_up_at_the_limit(cache, upstream):
    endless = upstream.offers_manifest(b"[" * (64 << 20), tag="endless", chunked=True)
    before = cache.memory_bytes()
    assert by_tag(cache, "endless").status == 502
    assert cache.memory_bytes() - before < 24 << 20, "three times the limit is room enough"
    assert cache.blob_file(endless) is None
    assert cache.metric("upstream_bytes_total") < 16 << 20, "reading stopped near the limit"


def test_many_descriptors_and_indexes_in_indexes_do_not_multiply_requests(cache, upstream):
    layers = [{"mediaType": LAYER, "digest": digest_of(str(n).encode()), "size": 1} for n in range(10_000)]
    many = upstream.offers_manifest({"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers}, tag="many")
    child = upstream.offers_image().manifest
    for _ in range(100):
        child = upstream.offers_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(child)]}, media_type=INDEX)
    upstream.tag(child, "deep")
    upstream.offers_manifest({"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers * 2}, tag="too-many")
    assert by_tag(cache, "many").digest() == many.digest
    assert by_tag(cache, "too-many").status == 502, "C07: the count is bounded"
    assert by_tag(cache, "deep").digest() == child.digest
    assert len(upstream.seen()) < 100, "C07: whatever is fetched ahead is bounded"


def test_urls_and_data_inside_a_manifest_are_ignored(cache, upstream, make_trap):
    trap = make_trap()
    blob = upstream.offers()
    layer = {**descriptor(blob, LAYER), "urls": [f"{trap.url}/foreign"], "data": "bm90IHRoZSBibG9i"}
    manifest = upstream.offers_manifest({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer]}, tag="1")
    assert by_tag(cache, "1").digest() == manifest.digest
    assert cache.get(blob).digest() == blob.digest
    assert not trap.seen(), "C09"


def test_content_types_with_parameters_or_none_still_give_a_usable_type(cache, upstream):
    with Rows() as rows:
        for number, header in enumerate((f"{MANIFEST}; charset=utf-8", MANIFEST.upper(), "application/json; charset=utf-8", "text/plain", "")):
            manifest = upstream.offers_manifest({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "n": number}, tag=f"t{number}")
            upstream.always(manifest.by(f"t{number}"), Answer(headers={"Content-Type": header}))
            reply = by_tag(cache, f"t{number}")
            usable = reply.status == 200 and reply.header("content-type", "").lower().startswith(MANIFEST)
            rows.check(usable or reply.status == 502, f"F11 {header!r}", reply)
            rows.check(reply.status != 200 or reply.digest() == manifest.digest, f"F11 {header!r}", reply)


def test_an_index_gives_each_architecture_its_image(cache, upstream):
    children = {arch: upstream.offers_image(seed=arch) for arch in ("amd64", "arm64", "arm")}
    entries = [descriptor(image.manifest, platform={"architecture": arch, "os": "linux"}) for arch, image in children.items()]
    index = upstream.offers_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, tag="multi", media_type=INDEX)
    reply = by_tag(cache, "multi")
    assert reply.digest() == index.digest and reply.header("content-type") == INDEX
    for image in children.values():
        for part in image.parts:
            assert cache.get(part).digest() == part.digest
            assert upstream.gets(part) == 1


def test_an_artifact_that_is_no_image_is_cached_like_one(cache, upstream):
    chart = upstream.offers("10KiB", repository="lab/chart")
    config = upstream.offers(repository="lab/chart", data=b"{}")
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.cncf.helm.config.v1+json",
                "config": descriptor(config, "application/vnd.cncf.helm.config.v1+json"),
                "layers": [descriptor(chart, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")]}
    artifact = upstream.offers_manifest(document, repository="lab/chart", tag="0.1.0")
    upstream_seen = len(upstream.seen())
    assert by_tag(cache, "0.1.0", "lab/chart").digest() == artifact.digest
    for part in (chart, config):
        assert cache.get(part).digest() == part.digest
    cache.keeps(artifact, chart, config)
    upstream.stop()
    for part in (artifact, chart, config):
        assert cache.get(part).cache == "hit"
    assert len(upstream.seen()) > upstream_seen

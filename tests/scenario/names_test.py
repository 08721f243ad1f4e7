"""Names, tags and digests by the grammar of the distribution specification; everything else stops before upstream."""
import json
import time

from harness.cache import one_to_one
from harness.story import Rows
from harness.upstream import INDEX, MANIFEST, descriptor, digest_of

ACCEPT = {"Accept": f"{MANIFEST}, {INDEX}"}


def test_names_outside_the_grammar_are_refused_here(cache, upstream):
    with Rows() as rows:
        for name in ("Lab/app", "a..b", "a___b", "-a", "a-", "lab/-a", "lab/a-", "_a", "lab/_a", "a.", ".a", "lab/a._b", "a%41", "a%20b", "a~b"):
            reply = cache.get(cache.path_of(f"/v2/{name}/manifests/1"), ACCEPT)
            rows.check(reply.status == 400 and reply.error_code == "NAME_INVALID", f"B01 {name}", reply.body[:100] or reply)
        for name in ("a//b", "a/", "/a", ".", "..", "lab/../app", "lab/./app", "\xe4", "%c3%a4"):
            reply = cache.get(cache.path_of(f"/v2/{name}/manifests/1"), ACCEPT)
            rows.check(reply.status in (400, 404), f"B01 {name}", reply)
    assert not upstream.seen(), "a name that is none must never travel"


def test_names_inside_the_grammar_travel(cache, upstream):
    with Rows() as rows:
        for name in ("a", "a__b", "a.b", "a-b", "a--b", "a_b", "0", "a/b/c/d/e/f", "library/alpine"):
            image = upstream.offers_image(repository=name, tag="1")
            reply = cache.get(cache.path_of(f"/v2/{name}/manifests/1"), ACCEPT)
            rows.check(reply.digest() == image.manifest.digest, f"B01 {name}", reply)


def test_a_name_of_255_bytes_is_long_enough(cache, upstream):
    with Rows() as rows:
        for length, right in ((255, {200}), (256, {400})):
            name = ("a" * 63 + "/") * 8
            name = name[:length - 1] + "b"
            if length == 255:
                upstream.offers_image(repository=name, tag="1")
            reply = cache.get(f"/v2/{name}/manifests/1", ACCEPT)
            rows.check(reply.status in right, f"B02 {length} bytes", reply)


def test_tags_by_the_grammar(cache, upstream):
    longest = "t" * 128
    image = upstream.offers_image(tag=longest)
    for tag in ("_x", "1.0-rc_1", "A"):
        upstream.tag(image.manifest, tag)
    with Rows() as rows:
        for tag in (longest, "_x", "1.0-rc_1", "A"):
            reply = cache.get(cache.path_of(f"/v2/lab/app/manifests/{tag}"), ACCEPT)
            rows.check(reply.digest() == image.manifest.digest, f"B04 {tag[:20]}", reply)
        before = len(upstream.seen())
        for tag in ("t" * 129, "-x", ".x", "a:b", "a%3Ab", "a+b", "a/b/c", "%2e%2e"):
            reply = cache.get(cache.path_of(f"/v2/lab/app/manifests/{tag}"), ACCEPT)
            rows.check(reply.status in (400, 404), f"B04 {tag[:20]}", reply)
        rows.check(len(upstream.seen()) == before, "B04 none of them travels", upstream.seen()[before:])


def test_digests_by_the_grammar(cache, upstream):
    image = upstream.offers_image()
    good = image.layers[0].digest
    wrong = ["sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "G" * 64, good.upper(), good.replace("sha256", "SHA256"), "sha256:",
             "sha512:" + "0" * 64, "md5:" + "0" * 32, "sha384:" + "0" * 96, "sha256", "nonsense", good + "x", "sha256%3A" + "0" * 63]
    before = len(upstream.seen())
    with Rows() as rows:
        for digest in wrong:
            reply = cache.get(cache.path_of(f"/v2/lab/app/blobs/{digest}"))
            rows.check(reply.status == 400 and reply.error_code in ("DIGEST_INVALID", "UNSUPPORTED"), f"blob {digest[:30]}", reply.body[:100] or reply)
        for digest in [one for one in wrong if ":" in one]:
            reply = cache.get(cache.path_of(f"/v2/lab/app/manifests/{digest}"))
            rows.check(reply.status in (400, 404), f"manifest {digest[:30]}", reply)
    assert len(upstream.seen()) == before


def test_paths_that_are_no_registry_path(cache, upstream):
    with Rows() as rows:
        rows.check(cache.get("/v2").status in (200, 301, 308), "B06 /v2", cache.get("/v2"))
        for path in ("/v2//", "/", "/v1/", "/v3/", "/metrics", "/healthz", "/api/v1/status", "/v2/upstream.test/lab/app", "/v2/manifests/1",
                     "/v2/upstream.test/lab/app/manifests/", "/v2/upstream.test/lab/app/blobs/", "/v2/upstream.test/lab/app/things/1", "/favicon.ico"):
            reply = cache.get(path)
            rows.check(reply.status in (400, 404), f"B06 {path}", reply)
    assert not upstream.seen()


def test_what_is_not_there_is_404_with_the_right_code(cache, upstream):
    upstream.offers_image(tag="1")
    absent = digest_of(b"absent")
    with Rows() as rows:
        for path, code in ((f"/v2/lab/app/blobs/{absent}", "BLOB_UNKNOWN"), (f"/v2/lab/app/manifests/{absent}", "MANIFEST_UNKNOWN"),
                           ("/v2/lab/app/manifests/absent", "MANIFEST_UNKNOWN")):
            for method in ("GET", "HEAD"):
                reply = cache.get(cache.path_of(path), ACCEPT, method=method)
                rows.check(reply.status == 404 and (method == "HEAD" or reply.error_code == code), f"{method} {path}", reply.body[:100] or reply)
                rows.check(method == "HEAD" or reply.header("content-type", "").startswith("application/json"), f"{path} is JSON", reply.headers)


def test_tag_lists_are_paged(cache, upstream):
    image = upstream.offers_image(tag="a")
    for tag in "bcdefg":
        upstream.tag(image.manifest, tag)
    listing = cache.path_of("/v2/lab/app/tags/list")
    whole = cache.get(listing)
    assert whole.status == 200 and whole.body.count(b'"') >= 14
    page = cache.get(f"{listing}?n=3")
    assert page.status == 200 and b'"a"' in page.body and b'"d"' not in page.body
    link = page.header("link")
    assert link and 'rel="next"' in link, page.headers
    following = link.split("<", 1)[1].split(">", 1)[0]
    assert following.startswith("/v2/"), f"the link must lead back to us, not upstream: {link}"
    second = cache.get(following)
    assert second.status == 200 and b'"d"' in second.body and b'"a"' not in second.body, second.body
    nothing = cache.get(f"{listing}?n=0")
    assert nothing.status == 200 and b'"a"' not in nothing.body and nothing.header("link") is None, "B08"
    for n in ("-1", "x", "99999999999999999999"):
        assert cache.get(f"{listing}?n={n}").status in (200, 400), n


def test_referrers_are_passed_filtered_or_built_from_the_fallback_tag(cache, upstream):
    image = upstream.offers_image(tag="1")
    subject = image.manifest.digest
    entries = [{"mediaType": MANIFEST, "digest": digest_of(b"sbom"), "size": 4, "artifactType": "application/spdx+json"},
               {"mediaType": MANIFEST, "digest": digest_of(b"sig"), "size": 3, "artifactType": "application/vnd.sig"}]
    path = cache.path_of(f"/v2/lab/app/referrers/{subject}")

    def digests(reply):
        assert reply.status == 200 and reply.header("content-type") == INDEX, (reply, reply.body[:200])
        return [entry["digest"] for entry in json.loads(reply.body)["manifests"]]

    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    upstream.offers_manifest(index, tag=subject.replace(":", "-"), media_type=INDEX)
    assert digests(cache.get(path)) == [entry["digest"] for entry in entries], "the fallback tag"

    other = upstream.offers_image(tag="2", repository="lab/other")
    upstream.referrers = {other.manifest.digest: entries}
    path = cache.path_of(f"/v2/lab/other/referrers/{other.manifest.digest}")
    assert digests(cache.get(path)) == [entry["digest"] for entry in entries], "the API"
    filtered = cache.get(f"{path}?artifactType=application%2Fspdx%2Bjson")
    assert digests(filtered) == [entries[0]["digest"]] and "artifacttype" in (filtered.header("oci-filters-applied") or "").lower()
    assert digests(cache.get(cache.path_of(f"/v2/lab/other/referrers/{digest_of(b'unknown')}"))) == [], "B09: unknown is empty, not 404"
    assert cache.get(cache.path_of("/v2/lab/other/referrers/sha256:short")).status == 400


def test_the_catalog_is_a_bounded_page(cache, upstream):
    for number in range(5):
        image = upstream.offers_image(repository=f"lab/app{number}", tag="1")
        cache.tag(image, "1")
    end = time.monotonic() + 5          # the ledger writes in groups
    while True:
        reply = cache.get("/v2/_catalog")
        names = json.loads(reply.body)["repositories"]
        if len(names) == 5 or time.monotonic() > end:
            break
        time.sleep(0.1)
    assert reply.status == 200 and names == sorted(names) and len(names) == 5, names
    page = cache.get("/v2/_catalog?n=2")
    assert len(json.loads(page.body)["repositories"]) == 2 and 'rel="next"' in (page.header("link") or "")
    for n in ("999999999", "-1", "x", "18446744073709551616"):
        assert cache.get(f"/v2/_catalog?n={n}").status in (200, 400), n


def test_what_a_client_accepts_does_not_change_what_it_gets(cache, upstream):
    image = upstream.offers_image(tag="1")
    cache.tag(image, "1")
    with Rows() as rows:
        for accept in (None, "", "*/*", MANIFEST, f"text/html, {MANIFEST};q=0.1"):
            reply = cache.get(image.manifest, {"Accept": accept} if accept is not None else {})
            rows.check(reply.digest() == image.manifest.digest and reply.header("content-type") == MANIFEST, f"B13 {str(accept)[:30]}", reply)
        for accept in ("text/html", "application/vnd.docker.distribution.manifest.v1+json", "x" * 8000):
            reply = cache.get(image.manifest, {"Accept": accept})
            rows.check(reply.status == 404 or reply.digest() == image.manifest.digest, f"B13 {accept}", reply)


def test_absent_tags_are_remembered_for_a_moment_and_without_end_cost_bounded_memory(cache, upstream):
    upstream.offers_image(tag="1")
    before = cache.memory_bytes()
    with cache.connect() as connection:
        for number in range(3000):
            assert connection.exchange("HEAD", cache.path_of(f"/v2/lab/app/manifests/absent{number}")).status == 404
    assert cache.memory_bytes() - before < 16 << 20, "B17"


def test_a_static_rule_wins_over_the_wildcard(make_cache, make_upstream, directory):
    general, special = make_upstream(login_server="general.test"), make_upstream(login_server="special.test")
    usual = general.offers_image(repository="lab/app", tag="1", seed="general")
    chosen = special.offers_image(repository="own/app", tag="1", seed="special")
    rules = [{"name": "wide", "source": "general.test/*", "target": "mirror/*"},
             {"name": "narrow", "source": "special.test/own/app", "target": "mirror/lab/app"}]
    cache = make_cache(settings=one_to_one([general, special], directory, rules=rules))
    assert cache.get("/v2/mirror/lab/app/manifests/1", ACCEPT).digest() == chosen.manifest.digest, "B11"
    upstream_other = general.offers_image(repository="lab/other", tag="1")
    assert cache.get("/v2/mirror/lab/other/manifests/1", ACCEPT).digest() == upstream_other.manifest.digest
    assert usual.manifest.digest != chosen.manifest.digest


def test_a_path_that_no_rule_covers_is_404_and_asks_nobody(make_cache, upstream):
    cache = make_cache(upstream, server={"default_login_server": "nowhere.test"})
    reply = cache.get("/v2/some/where/manifests/1", ACCEPT)
    assert reply.status == 404 and reply.error_code == "NAME_UNKNOWN", reply
    assert not upstream.seen()


def test_descriptors_and_media_types_pass_unchanged(cache, upstream):
    blob = upstream.offers()
    with Rows() as rows:
        for number, media_type in enumerate((MANIFEST, INDEX, "application/vnd.docker.distribution.manifest.v2+json",
                                             "application/vnd.docker.distribution.manifest.list.v2+json",
                                             "application/vnd.docker.distribution.manifest.v1+prettyjws", "application/vnd.example.unknown+json")):
            noun = b"manifests" if "index" in media_type or "list" in media_type else b"layers"
            odd = b'{ "schemaVersion" : 2,\n\t"mediaType":"' + media_type.encode() + b'", "z":1, "a":1, "a":2, "' + noun
            odd += b'":[], "d":"' + blob.digest.encode() + b'"}\n\n'
            manifest = upstream.offers_manifest(odd, tag=f"odd{number}", media_type=media_type)
            for path in (manifest.path, manifest.by(f"odd{number}")):
                for _ in range(2):
                    reply = cache.get(cache.path_of(path), {"Accept": f"{media_type}, */*"})
                    rows.check(reply.body == odd and reply.header("content-type") == media_type, f"{media_type} {path[-20:]}", reply)
    assert descriptor(blob)["size"] == blob.size


def test_odd_headers_on_a_miss_leave_no_trace_in_what_is_cached(cache, upstream):
    blob = upstream.offers()
    first = cache.get(blob, {"Accept-Encoding": "br", "Accept-Language": "x" * 2000, "Range-Unit": "odd", "X-Odd": "y" * 4000})
    clean = cache.get(blob)
    assert first.status == clean.status == 200 and first.body == clean.body
    volatile = ("date", "x-entrepot-cache", "age", "connection")
    assert [h for h in first.headers if h[0] not in volatile] == [h for h in clean.headers if h[0] not in volatile], "B14"

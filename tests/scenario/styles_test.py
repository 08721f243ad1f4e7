"""How clients name an upstream on one listener: by ns, by the target of a rule, or not at all; and what no rule allows."""
import os
import subprocess

from harness.cache import BINARY, one_to_one
from harness.story import Rows
from harness.upstream import INDEX, MANIFEST

ACCEPT = {"Accept": f"{MANIFEST}, {INDEX}"}


def manifest_at(cache, path):
    return cache.get(path, ACCEPT)


def test_ns_selects_the_upstream_and_is_named_in_the_answer(make_cache, make_upstream):
    one, two = make_upstream(login_server="one.test"), make_upstream(login_server="two.test")
    images = {server.login_server: server.offers_image(repository="lab/app", tag="1", seed=server.login_server) for server in (one, two)}
    cache = make_cache(one, two)
    with Rows() as rows:
        for server, image in images.items():
            reply = manifest_at(cache, f"/v2/lab/app/manifests/1?ns={server}")
            rows.check(reply.digest() == image.manifest.digest and reply.header("oci-namespace") == server, server, reply)
            by_target = manifest_at(cache, f"/v2/{server}/lab/app/manifests/1")
            rows.check(by_target.digest() == image.manifest.digest and by_target.header("oci-namespace") is None, f"{server} by target", by_target)
        root = manifest_at(cache, "/v2/lab/app/manifests/1")
        rows.check(root.digest() == images["one.test"].manifest.digest, "root style is the default login server", root)


def test_with_ns_a_target_on_that_login_server_wins_over_the_covering_source(make_cache, make_upstream, directory):
    """BuildKit and k3s send a path prefix and ns at once; the prefix is a rule's target, so it means that rule."""
    upstream = make_upstream()
    inner = upstream.offers_image(repository="deep/lab/app", tag="1", seed="inner")
    outer = upstream.offers_image(repository="mirror/lab/app", tag="1", seed="outer")
    rules = [{"name": "prefix", "source": "upstream.test/deep/*", "target": "mirror/*"},
             {"name": "all", "source": "upstream.test/*", "target": "upstream.test/*"}]
    cache = make_cache(settings=one_to_one([upstream], directory, rules=rules))
    assert manifest_at(cache, "/v2/mirror/lab/app/manifests/1?ns=upstream.test").digest() == inner.manifest.digest
    assert manifest_at(cache, "/v2/upstream.test/mirror/lab/app/manifests/1").digest() == outer.manifest.digest


def test_an_ns_that_no_rule_covers_never_becomes_a_connection(cache, upstream, make_trap):
    trap = make_trap()
    image = upstream.offers_image(tag="1")
    hosts = ["other.test", f"127.0.0.1:{trap.port}", f"localhost:{trap.port}", "169.254.169.254", "[::1]", f"[::1]:{trap.port}", "0x7f000001", "127.1",
             "upstream.test.evil.test", "evil.upstream.test", f"user@127.0.0.1:{trap.port}", f"http://127.0.0.1:{trap.port}", "upstream.test%2F..", "..%2F..%2Fetc",
             "upstream.test%00", "upstream.test%0d%0aX:y", "%ff%fe", "a" * 300, "UPSTREAM.TEST%20", "upstream.test%23", "upstream.test%3A99999", "*"]
    with Rows() as rows:
        for host in hosts:
            reply = manifest_at(cache, f"/v2/lab/app/manifests/1?ns={host}")
            rows.check(reply.status in (400, 404), host[:60], reply)
            rows.check(len(reply.body) < 2000, f"{host[:60]}: the error is short", len(reply.body))
    assert not trap.seen() and trap.connections_seen == 0
    assert not upstream.seen()
    assert manifest_at(cache, "/v2/lab/app/manifests/1?ns=upstream.test").digest() == image.manifest.digest


def test_two_ns_or_an_empty_one_are_no_way_around_a_rule(cache, upstream):
    image = upstream.offers_image(tag="1")
    with Rows() as rows:
        for query in ("ns=upstream.test&ns=other.test", "ns=other.test&ns=upstream.test", "ns=other.test"):
            reply = manifest_at(cache, f"/v2/lab/app/manifests/1?{query}")
            rows.check(reply.status in (400, 404), query, reply)
        for query in ("ns=", "odd=1", "ns=upstream.test&odd=1", "ns=UPSTREAM.test"):
            reply = manifest_at(cache, f"/v2/lab/app/manifests/1?{query}")
            rows.check(reply.status in (400, 404) or reply.digest() == image.manifest.digest, query, reply)


def test_a_wildcard_maps_prefix_to_prefix_and_keeps_the_rest(make_cache, make_upstream, directory):
    upstream = make_upstream()
    names = {"team/app": "from/here/app", "team/a/b/c": "from/here/a/b/c", "single": "alone/repo"}
    images = {target: upstream.offers_image(repository=source, tag="1", seed=source) for target, source in names.items()}
    rules = [{"name": "tree", "source": "upstream.test/from/here/*", "target": "team/*"},
             {"name": "one", "source": "upstream.test/alone/repo", "target": "single"}]
    cache = make_cache(settings=one_to_one([upstream], directory, rules=rules, server={"default_login_server": "nowhere.test"}))
    with Rows() as rows:
        for target, image in images.items():
            rows.check(manifest_at(cache, f"/v2/{target}/manifests/1").digest() == image.manifest.digest, target, "")
        for target in ("team", "teamx/app", "tea/app", "single/more", "other/app"):
            rows.check(manifest_at(cache, f"/v2/{target}/manifests/1").status == 404, target, "")


def test_a_tag_list_carries_the_name_the_client_used(make_cache, make_upstream, directory):
    upstream = make_upstream()
    upstream.offers_image(repository="from/here/app", tag="1")
    rules = [{"name": "tree", "source": "upstream.test/from/here/*", "target": "team/*"}]
    cache = make_cache(settings=one_to_one([upstream], directory, rules=rules))
    reply = cache.get("/v2/team/app/tags/list")
    assert reply.status == 200 and b'"team/app"' in reply.body and b'"1"' in reply.body, reply.body


def test_configurations_that_are_wrong_are_refused_with_a_reason(directory, upstream):
    rule = '[[cache_rule]]\nname = "{}"\nsource = "{}"\ntarget = "{}"\n'
    wide = rule.format("wide", "upstream.test/*", "team/*")
    wrong = {
        "B3 1 a wildcard inside a wildcard": (wide + rule.format("inner", "other.test/*", "team/inner/*"), ["wide", "inner"]),
        "B3 2 the same, sources alike": (wide + rule.format("inner", "upstream.test/inner/*", "team/inner/*"), ["wide", "inner"]),
        "B3 3 the same target twice": (wide + rule.format("again", "other.test/*", "team/*"), ["wide", "again"]),
        "B3 5 two static rules, one target": (rule.format("a", "upstream.test/a", "x/a") + rule.format("b", "other.test/b", "x/a"), ["a", "b"]),
        "B3 11 a wider wildcard later": (wide + rule.format("wider", "other.test/*", "*"), ["wide", "wider"]),
        "B3 14 capitals": (rule.format("caps", "upstream.test/Lab", "x/a"), ["caps"]),
        "B3 14 a tag in the source": (rule.format("tagged", "upstream.test/lab:1", "x/a"), ["tagged"]),
        "B3 17 one name twice": (wide + rule.format("wide", "other.test/*", "else/*"), ["wide"]),
        "a star in the middle": (rule.format("star", "upstream.test/*/x", "x/*"), ["star"]),
        "a star on one side only": (rule.format("half", "upstream.test/*", "x/a"), ["half"]),
        "an unknown key": ('[server]\nlisten_on = "x"\n', ["listen_on"]),
        "a wrong type": ('[server]\nshards = "two"\n', ["shards"]),
        "a wrong unit": ('[store]\ncapacity = "5 parsecs"\n', ["capacity"]),
        "no TOML": ("[server\n", ["1"]),
        "an unknown credential set": (wide + 'credential_set = "none"\n', ["none"]),
        "an address that is none": ('[server]\nlisten = ["999.1.1.1:5000"]\n', ["listen"]),
        "a port that is none": ('[server]\nlisten = ["127.0.0.1:99999"]\n', ["listen"]),
        "a source that is a private address": (rule.format("literal", "127.0.0.1:5000/*", "x/*"), ["literal"]),
    }
    with Rows() as rows:
        for number, (name, (text, words)) in enumerate(wrong.items()):
            path = f"{directory}/wrong{number}.toml"
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            done = subprocess.run([BINARY, "serve", "--config", path, "--store", f"{directory}/none", "--check"], capture_output=True, text=True, timeout=20, check=False)
            rows.check(done.returncode in (1, 2), name, f"exit {done.returncode} {done.stdout} {done.stderr}")
            rows.check(all(word in done.stderr for word in words) and os.path.basename(path) in done.stderr, f"{name}: names file and reason", done.stderr)
        right = {"B3 4 a static rule inside a wildcard": wide + rule.format("one", "other.test/b", "team/b"),
                 "B3 6 disjoint wildcards": wide + rule.format("two", "other.test/*", "crew/*"),
                 "B3 7 a wildcard around a static rule": rule.format("one", "other.test/b", "team/b") + wide,
                 "B3 10 one source, two targets": wide + rule.format("two", "upstream.test/*", "crew/*"), "nothing at all": ""}
        for number, (name, text) in enumerate(right.items()):
            path = f"{directory}/right{number}.toml"
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            done = subprocess.run([BINARY, "serve", "--config", path, "--store", f"{directory}/none", "--check"], capture_output=True, text=True, timeout=20, check=False)
            rows.check(done.returncode == 0, name, f"exit {done.returncode} {done.stderr}")
    assert not upstream.seen()

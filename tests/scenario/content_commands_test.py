"""cache explain, sync and purge: what is known of a reference, asking for tags now, and removing what is stored."""

import time

from harness.api import Api
from harness.command import OnTerminal, entrepot, fails, one_line, succeeds
from harness.upstream import Answer


def hub_cache(make_cache, make_upstream, **words):
    hub = make_upstream(login_server="docker.io")
    image = hub.offers_image(repository="library/alpine", tag="latest", layers=("64KiB", "32KiB"))
    cache = make_cache(hub, rules=[], server={"default_rules": False}, **words)
    succeeds(cache, "cache", "create", "-n", "docker-hub", "-s", "docker.io/*", "-t", "hub/*")
    return cache, hub, image


def pull(cache, image, repository="hub/library/alpine", tag="latest"):
    assert cache.get(f"/v2/{repository}/manifests/{tag}").digest() == image.manifest.digest
    for blob in image.blobs:
        assert cache.get(f"/v2/{repository}/blobs/{blob.digest}").digest() == blob.digest
    # The answers come before the disk has everything.
    end = time.monotonic() + 30
    while not (stored := explained(cache, f"{repository}:{tag}")["stored"])["tag"] or stored["blobs"]["missing"]:
        assert time.monotonic() < end, stored
        time.sleep(0.02)


def explained(cache, *words):
    return succeeds(cache, "cache", "explain", *words, "-o", "json").json()


def test_explain_walks_from_a_reference_to_what_is_stored(make_cache, make_upstream):
    cache, hub, image = hub_cache(make_cache, make_upstream)
    before = explained(cache, "hub/library/alpine:latest")
    assert before["rule"] == "docker-hub" and before["sourceRepository"] == "docker.io/library/alpine" and before["stored"]["tag"] is None
    assert not hub.seen(), "nothing leaves the server"
    pull(cache, image)
    seen = len(hub.seen())
    after = explained(cache, "hub/library/alpine:latest")
    assert after["stored"]["tag"]["digest"] == image.manifest.digest and after["stored"]["blobs"] == {"present": 3, "missing": 0, "bytes": sum(blob.size for blob in image.blobs)}
    assert len(hub.seen()) == seen
    shown = succeeds(cache, "cache", "explain", "hub/library/alpine:latest").out
    for words in ("docker-hub", "docker.io/library/alpine", image.manifest.digest, "3 stored", "May pull      anonymous"):
        assert words in shown, (words, shown)
    assert explained(cache, "alpine", "--style", "root")["sourceRepository"] == "docker.io/library/alpine"
    assert explained(cache, "library/alpine", "--ns", "docker.io")["rule"] == "docker-hub"
    assert explained(cache, "nobody/alpine", "--ns", "quay.io")["rule"] is None


def test_explain_asks_upstream_only_when_told_to(make_cache, make_upstream):
    cache, hub, image = hub_cache(make_cache, make_upstream)
    assert explained(cache, "hub/library/alpine:latest", "--probe")["probe"]["digest"] == image.manifest.digest
    assert len(hub.seen()) == 1
    hub.always("any", Answer(503))
    assert explained(cache, "hub/library/alpine:other", "--probe")["probe"]["error"]


def test_explain_knows_what_would_be(make_cache, make_upstream):
    cache, _, _ = hub_cache(make_cache, make_upstream)
    would = explained(cache, "mirror/podman/hello", "--with-rule", "quay.io/*=>mirror/*")
    assert would["sourceRepository"] == "quay.io/podman/hello" and would["loginServer"] == "quay.io", would
    assert "docker-hub" in fails(cache, "cache", "explain", "hub/a", "--with-rule", "quay.io/*=>hub/inner/*")
    really = explained(cache, "mirror/podman/hello")
    assert (really["rule"], really["sourceRepository"]) == ("docker-hub", "docker.io/mirror/podman/hello"), "the default login server's"


def test_what_would_be_is_what_creating_would_make_of_it(make_cache, make_upstream):
    """The file's upstreams, options and credential sets hold for a rule that does not exist yet."""
    quay = make_upstream(login_server="quay.io")
    image = quay.offers_image(repository="team/app", tag="latest")
    cache = make_cache(quay, rules=[], server={"default_rules": False, "docker_hub_anonymous": False})
    would = explained(cache, "m/team/app", "--with-rule", "quay.io/*=>m/*", "--probe")
    assert would["endpoints"] == [quay.url] and would["probe"]["digest"] == image.manifest.digest, would
    assert len(quay.seen()) == 1
    for rule, source, word in (("off", "docker.io/*", "docker_hub_anonymous"), ("private", "127.1:5000/*", "allow_private")):
        said = fails(cache, "cache", "explain", "m/team/app", "--with-rule", f"{source}=>m/*").replace("what-if", f"rule-{rule}")
        assert word in said and said == fails(cache, "cache", "create", "-n", f"rule-{rule}", "-s", source, "-t", "m/*"), said
    status, _, document = Api(cache).described().ask("POST", "/api/v1/explain", {"reference": "m/x", "rule": {
        "sourceRepository": "quay.io/*", "targetRepository": "m/*", "credentialSet": "absent"}})
    assert (status, document["error"]["code"]) == (409, "CredentialSetNotFound"), document
    for unknown in ({"sourceRepository": "never.test/*"}, {"sourceRepository": "quay.io/*", "identity": "system"}):
        asked = {"reference": "m/x", "probe": True, "rule": {"targetRepository": "m/*", **unknown}}
        status, _, document = Api(cache).described().ask("POST", "/api/v1/explain", asked)
        assert status == 200 and "was not asked" in document["probe"]["error"], document
    assert len(quay.seen()) == 1, "nobody's rights are not the identity's"


def test_sync_takes_a_moved_tag_at_once(make_cache, make_upstream):
    cache, hub, image = hub_cache(make_cache, make_upstream)
    pull(cache, image)
    assert fails(cache, "cache", "sync", "docker-hub:latest").endswith("(RepositoryMissing); --repository names it")
    unchanged = succeeds(cache, "cache", "sync", "docker-hub:latest", "--repository", "hub/library/alpine").rows()
    assert unchanged[1][:3] == ["hub/library/alpine", "latest", "unchanged"] and unchanged[1][5] == "docker.io/library/alpine", unchanged
    every = succeeds(cache, "cache", "sync", "docker-hub").rows()[1][0]
    assert succeeds(cache, "cache", "sync", "docker-hub:latest", "--repository", every).rows() == unchanged, "a name from the table is one to ask with"
    moved = hub.offers_image(repository="library/alpine", tag="latest", seed="moved")
    result = succeeds(cache, "cache", "sync", "docker-hub:latest", "--repository", "hub/library/alpine", "-o", "json").json()["results"][0]
    assert (result["outcome"], result["before"], result["after"]) == ("updated", image.manifest.digest, moved.manifest.digest), result
    assert [row["tag"] for row in succeeds(cache, "cache", "sync", "docker-hub", "-o", "json").json()["results"]] == ["latest"]
    hub.always("any", Answer(503))
    done = entrepot(cache, "cache", "sync", "docker-hub:latest", "--repository", "hub/library/alpine")
    assert done.status == 1 and one_line(done.err) and "1 of 1" in done.err and "failed" in done.out, done
    assert "no-such-rule" in fails(cache, "cache", "sync", "no-such-rule")


def test_a_purge_right_after_a_pull_takes_all_of_it(make_cache, make_upstream):
    """The answers come before the disk has everything; a purge waits for the disk."""
    cache, hub, _ = hub_cache(make_cache, make_upstream)
    for number in range(50):
        image = hub.offers_image(repository="library/alpine", tag=str(number), seed=str(number), layers=("16KiB",))
        assert cache.get(f"/v2/hub/library/alpine/manifests/{number}").digest() == image.manifest.digest
        Api(cache).must("POST", "/purge", {"rule": "docker-hub"})
        time.sleep(0.01)
        assert explained_api(cache, f"hub/library/alpine:{number}")["stored"]["tag"] is None, number


def explained_api(cache, reference):
    return Api(cache).must("GET", f"/explain?reference={reference}")


def test_purge_removes_what_is_meant_and_nothing_else(make_cache, make_upstream):
    cache, hub, image = hub_cache(make_cache, make_upstream)
    other = hub.offers_image(repository="library/debian", tag="12", seed="other")
    pull(cache, image)
    pull(cache, other, "hub/library/debian", "12")
    would = succeeds(cache, "cache", "purge", "--repository", "hub/library/alpine", "--dry-run", "-o", "json").json()
    assert would["tags"] == 1 and would["manifests"] == 1, would
    assert explained(cache, "hub/library/alpine:latest")["stored"]["tag"]
    assert "-y" in fails(cache, "cache", "purge", "--repository", "hub/library/alpine")
    succeeds(cache, "cache", "purge", "--repository", "hub/library/alpine", "-y")
    assert explained(cache, "hub/library/alpine:latest")["stored"]["tag"] is None
    assert explained(cache, "hub/library/debian:12")["stored"]["tag"]
    assert "1" in succeeds(cache, "cache", "purge", "-n", "docker-hub", "-y").rows()[1]
    assert explained(cache, "hub/library/debian:12")["stored"]["tag"] is None
    pull(cache, image)
    assert explained(cache, "hub/library/alpine:latest")["stored"]["tag"]


def test_purge_names_the_rules_that_lose_it_too(make_cache, make_upstream):
    """Rules over one source with the same credentials share what is stored."""
    cache, hub, image = hub_cache(make_cache, make_upstream)
    succeeds(cache, "cache", "create", "-n", "only-alpine", "-s", "docker.io/library/alpine", "-t", "alpine")
    succeeds(cache, "cache", "create", "-n", "whole-hub", "-s", "docker.io/*", "-t", "again/*")
    succeeds(cache, "cache", "create", "-n", "only-nines", "-s", "docker.io/library/alpine", "-t", "nines", "--tag-starts-with", "9")
    succeeds(cache, "cache", "create", "-n", "denies-it", "-s", "docker.io/*", "-t", "others/*", "--deny", "library/alpine")
    succeeds(cache, "cache", "create", "-n", "elsewhere", "-s", "quay.io/*", "-t", "quay/*")
    pull(cache, image)

    def shared(*words):
        return succeeds(cache, "cache", "purge", *words, "--dry-run", "-o", "json").json()["sharedWith"]

    assert shared("-n", "docker-hub") == ["denies-it", "only-alpine", "only-nines", "whole-hub"]
    assert shared("-n", "only-alpine") == ["denies-it", "docker-hub", "only-nines", "whole-hub"]
    assert shared("-n", "elsewhere") == []
    assert shared("--repository", "hub/library/alpine") == ["only-alpine", "only-nines", "whole-hub"]
    assert shared("--repository", "hub/library/alpine", "--tag", "latest") == ["only-alpine", "whole-hub"]
    assert shared("--repository", "hub/library/debian") == ["denies-it", "whole-hub"]
    table = succeeds(cache, "cache", "purge", "-n", "only-alpine", "--dry-run").rows()
    assert table[0][-1] == "Shared with" and table[1][-1] == "denies-it, docker-hub, only-nines, whole-hub", table
    asked = OnTerminal(cache, "cache", "purge", "--repository", "alpine", "--tag", "latest").until('Cache rules "docker-hub", "whole-hub" share it and lose it too.').types("n\n").ends()
    assert asked.status == 1 and explained(cache, "alpine:latest")["stored"]["tag"], asked.shown
    assert succeeds(cache, "cache", "purge", "--repository", "alpine", "-y", "-o", "json").json()["sharedWith"] == ["docker-hub", "only-nines", "whole-hub"]
    assert explained(cache, "hub/library/alpine:latest")["stored"]["tag"] is None

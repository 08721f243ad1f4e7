"""Rules and credential sets are made, changed and taken away while the server runs; no pull fails for it, and nothing that was said is lost."""
import json
import os
import random
import subprocess
import threading
import time

from harness.api import Api, Refused
from harness.cache import BINARY
from harness.story import Rows, skip

LOAD = os.path.join(os.path.dirname(BINARY), "entrepot-load")


def refusal(action, *arguments, **words):
    """The code of the refusal, or None."""
    try:
        action(*arguments, **words)
        return None
    except Refused as refused:
        return refused


def test_a_rule_works_from_the_answer_on_and_is_gone_from_the_answer_on(make_cache, upstream):
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream)
    api = Api(cache)
    path = "/v2/short/manifests/1"
    assert cache.get(path).status == 404
    made = api.rule("short-name", f"{upstream.login_server}/{image.manifest.repository}", "short")
    assert made["origin"] == "api" and made["provisioningState"] == "Succeeded"
    reply = cache.get(path)
    assert reply.status == 200 and reply.digest() == image.manifest.digest
    api.patch("cache-rules", "short-name", {"targetRepository": "other"})
    assert cache.get(path).status == 404
    assert cache.get("/v2/other/manifests/1").status == 200
    api.delete("cache-rules", "short-name")
    assert cache.get("/v2/other/manifests/1").status == 404


def test_what_was_answered_survives_kill_nine_at_any_moment(make_cache, upstream):
    cache = make_cache(upstream)
    kept, stop, lock = {}, threading.Event(), threading.Lock()

    def write(writer):
        api, number = Api(cache), 0
        dice = random.Random(writer)
        while not stop.is_set():
            number += 1
            name = f"writer{writer}-{number}"
            try:
                if number > 3 and dice.random() < 0.3:
                    gone = f"writer{writer}-{number - 2}"
                    api.delete("cache-rules", gone)
                    with lock:
                        kept.pop(gone, None)
                etag = api.rule(name, f"{upstream.login_server}/x/{name}", f"made/{name}")["etag"]
                with lock:
                    kept[name] = etag
            except (OSError, EOFError, Refused) as error:
                if isinstance(error, Refused) and error.status not in (404, 503):
                    raise
                return

    for _ in range(4):
        stop.clear()
        writers = [threading.Thread(target=write, args=(one + 10 * random.randrange(10**6),)) for one in range(4)]
        for one in writers:
            one.start()
        time.sleep(0.4)
        cache.kill()
        stop.set()
        for one in writers:
            one.join()
        cache.start()
        there = {rule["name"]: rule["etag"] for rule in Api(cache).everything("cache-rules")}
        lost = {name for name, etag in kept.items() if there.get(name) != etag}
        # A delete that was not answered may have happened.
        assert len(lost) <= 4, f"lost: {sorted(lost)[:5]}"
        for name in lost:
            kept.pop(name)
        assert kept, "nothing was written"


def test_two_writers_never_lose_an_update(make_cache, upstream):
    cache = make_cache(upstream)
    Api(cache).rule("shared-rule", f"{upstream.login_server}/x/y", "shared", deny=[])
    added, lost = [], []

    def add(writer):
        api = Api(cache)
        for number in range(12):
            while True:
                seen = api.get("/cache-rules/shared-rule")
                try:
                    api.patch("cache-rules", "shared-rule", {"deny": [*seen["deny"], f"w{writer}/n{number}"]}, seen["etag"])
                    added.append(f"w{writer}/n{number}")
                    break
                except Refused as refused:
                    assert refused.status == 412, refused
                    lost.append(refused.code)

    writers = [threading.Thread(target=add, args=(one,)) for one in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert sorted(Api(cache).get("/cache-rules/shared-rule")["deny"]) == sorted(added)
    assert len(added) == 48 and set(lost) <= {"Changed"}


def test_no_pull_fails_while_a_hundred_writers_change_rules(make_cache, upstream):
    """10,000 requests a second as entrepot-load makes them, on time or late: every one of them is answered, and with the right bytes."""
    if not os.path.exists(LOAD):
        skip("entrepot-load is not built")
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, tag_ttl="1h")
    assert cache.tag(image, "1").digest() == image.manifest.digest
    url = f"http://127.0.0.1:{cache.port}{cache.path_of(f'/v2/{image.manifest.repository}/manifests/{image.manifest.digest}')}"
    load = subprocess.Popen([LOAD, url, "--rate", "10000", "--connections", "64", "--duration", "6s", "--verify", "--json"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    changes, failures, end = [0] * 100, [], time.monotonic() + 6

    def write(writer):
        api, number = Api(cache), 0
        try:
            while time.monotonic() < end:
                number += 1
                name = f"writer{writer}-{number % 5}"
                try:
                    api.rule(name, f"{upstream.login_server}/x/{name}", f"made/{name}")
                except Refused as refused:
                    if refused.status != 409:
                        raise
                    api.delete("cache-rules", name)
                changes[writer] += 1
        except Exception as error:  # whatever it is, the story must hear of it
            failures.append(f"writer {writer}: {error}")

    writers = [threading.Thread(target=write, args=(one,)) for one in range(100)]
    for one in writers:
        one.start()
    out, complaints = load.communicate(timeout=60)
    for one in writers:
        one.join()
    assert not failures, failures[:3]
    report = json.loads(out)
    assert load.returncode == 0, complaints
    assert report["failed"] == 0 and report["completed"] >= 6 * 10000, (report["completed"], report["failed"], report["errors"])
    assert sum(changes) > 100


def test_every_refusal_has_a_status_a_code_and_a_sentence_that_says_what_to_do(make_cache, upstream):
    cache = make_cache(upstream)
    api = Api(cache).described()
    api.rule("wildcard-1", "quay.io/team/*", "team/*")
    api.rule("static-1", "quay.io/team/app", "app")
    source = "quay.io/team/app"
    with Rows() as rows:
        for name, document, status, code, says in [
                ("other", {"sourceRepository": source, "targetRepository": "app"}, 409, "RuleTargetTaken", '"static-1"'),
                ("other", {"sourceRepository": "quay.io/x/*", "targetRepository": "team/sub/*"}, 409, "RuleOverlap", '"wildcard-1"'),
                ("other", {"sourceRepository": "quay.io/x/*", "targetRepository": "*"}, 409, "RuleOverlap", '"wildcard-1"'),
                ("static-1", {"sourceRepository": source, "targetRepository": "b"}, 409, "AlreadyExists", "replace"),
                ("tiny", {"sourceRepository": source, "targetRepository": "b"}, 400, "RuleInvalid", "5 to 50"),
                ("under_score", {"sourceRepository": source, "targetRepository": "b"}, 400, "RuleInvalid", "letters, digits"),
                ("other", {"sourceRepository": f"{source}:1", "targetRepository": "b"}, 400, "RuleInvalid", "tag"),
                ("other", {"sourceRepository": source, "targetRepository": "B"}, 400, "RuleInvalid", "capital"),
                ("other", {"sourceRepository": "quay.io/*/x", "targetRepository": "b"}, 400, "RuleInvalid", "last path component"),
                ("other", {"sourceRepository": "quay.io/x/*", "targetRepository": "b"}, 400, "RuleInvalid", "both"),
                ("other", {"sourceRepository": "team/app", "targetRepository": "b"}, 400, "RuleInvalid", "login server"),
                ("other", {"sourceRepository": "127.0.0.1:5000/x", "targetRepository": "b"}, 409, "SourceNotAllowed", "private address"),
                ("other", {"sourceRepository": "localhost/x", "targetRepository": "b"}, 409, "SourceNotAllowed", "private address"),
                ("other", {"sourceRepository": source, "targetRepository": "../b"}, 400, "RuleInvalid", "not a valid repository"),
                ("other", {"sourceRepository": source, "targetRepository": "b", "credentialSet": "nobody"}, 409, "CredentialSetNotFound", "create it"),
                ("other", {"sourceRepository": source, "targetRepository": "b", "platforms": ["linux"]}, 400, "RuleInvalid", "linux/amd64"),
                ("other", {"sourceRepository": source, "targetRepository": "b", "tagTtl": "soon"}, 400, "Invalid", "duration"),
                ("other", {"sourceRepository": source, "targetRepository": "b", "sourceRepo": "x"}, 400, "Invalid", "sourceRepo"),
                ("other", {"sourceRepository": source, "targetRepository": "b", "etag": "x"}, 400, "Invalid", "etag"),
                ("other", {"targetRepository": "b"}, 400, "RuleInvalid", "source"),
        ]:
            refused = refusal(api.create, "cache-rules", name, document)
            found = refused and (refused.status, refused.code, refused.message)
            rows.check(found and found[:2] == (status, code) and says in found[2] and "\n" not in found[2], (name, document), found)
        from_file = cache.settings.rules[0]["name"]
        for action, status, code in [
                (lambda: api.delete("cache-rules", from_file), 409, "ReadOnly"),
                (lambda: api.patch("cache-rules", from_file, {"tagTtl": "5m"}), 409, "ReadOnly"),
                (lambda: api.delete("cache-rules", "never-was"), 404, "NotFound"),
                (lambda: api.patch("cache-rules", "never-was", {}), 404, "NotFound"),
                (lambda: api.get("/cache-rules/never-was"), 404, "NotFound"),
                (lambda: api.replace("cache-rules", "static-1", {"sourceRepository": source, "targetRepository": "b"}, "0" * 16), 412, "Changed"),
                (lambda: api.must("PUT", "/cache-rules/other", {"sourceRepository": source, "targetRepository": "b"}), 428, "PreconditionRequired"),
        ]:
            refused = refusal(action)
            rows.check(refused and (refused.status, refused.code) == (status, code), (status, code), refused)
    assert {rule["name"] for rule in api.everything("cache-rules") if rule["origin"] == "api"} == {"wildcard-1", "static-1"}


def test_a_dry_run_says_what_would_change_and_changes_nothing(make_cache, upstream):
    api = Api(make_cache(upstream)).described()
    api.rule("wildcard-1", "quay.io/team/*", "team/*")
    before = api.get("/export")
    answer = api.create("cache-rules", "inner-one", {"sourceRepository": "quay.io/a/b", "targetRepository": "team/app"}, dryRun=True)
    assert answer["wouldChange"][0]["action"] == "create" and answer["wouldChange"][0]["after"]["targetRepository"] == "team/app"
    assert any("exception inside" in line and '"wildcard-1"' in line for line in answer["overlaps"])
    assert api.must("DELETE", "/cache-rules/wildcard-1?dryRun=true")["wouldChange"][0]["action"] == "delete"
    refused = refusal(api.create, "cache-rules", "inner-two", {"sourceRepository": "quay.io/a/*", "targetRepository": "team/x/*"}, dryRun=True)
    assert refused and refused.code == "RuleOverlap", refused
    assert api.get("/export") == before


def test_apply_is_all_or_nothing_and_applying_twice_changes_nothing(make_cache, upstream):
    cache = make_cache(upstream)
    api = Api(cache).described()
    secret = f"{cache.directory}/secret"
    document = {"credentialSets": [{"name": "team-login", "loginServer": "quay.io", "authCredentials": [
        {"usernameSecretIdentifier": f"file:{secret}", "passwordSecretIdentifier": f"file:{secret}"}]}],
        "cacheRules": [{"name": "team-one", "sourceRepository": "quay.io/team/*", "targetRepository": "team/*", "credentialSet": "team-login",
                        "pull": ["anonymous"]},
                       {"name": "team-two", "sourceRepository": "quay.io/x/app", "targetRepository": "app", "tagTtl": "5m"}]}
    answer = api.must("POST", "/apply?dryRun=true", document)
    assert [step["action"] for step in answer["plan"]] == ["create"] * 3 and not answer["applied"]
    assert api.get("/export") == {"cacheRules": [], "credentialSets": []}
    assert api.must("POST", "/apply", document)["applied"]
    exported = api.get("/export")
    for again in (document, exported):
        assert {step["action"] for step in api.must("POST", "/apply?prune=true", again)["plan"]} == {"unchanged"}
    broken = {**document, "cacheRules": [*document["cacheRules"][:1], {"name": "team-three", "sourceRepository": "quay.io/y/*", "targetRepository": "team/y/*"}]}
    assert refusal(api.must, "POST", "/apply?prune=true", broken).code == "RuleOverlap"
    assert api.get("/export") == exported
    swapped = json.loads(json.dumps(document))
    rules = swapped["cacheRules"]
    rules[0]["targetRepository"], rules[1]["targetRepository"] = "images/*", "team/app"
    assert sorted(step["action"] for step in api.must("POST", "/apply", swapped)["plan"]) == ["unchanged", "update", "update"]
    only_one = {"cacheRules": [rules[1]]}
    assert sorted(step["action"] for step in api.must("POST", "/apply?prune=true", only_one)["plan"]) == ["delete", "delete", "unchanged"]
    cache.kill()
    cache.start()
    assert [rule["name"] for rule in Api(cache).get("/export")["cacheRules"]] == ["team-two"]


def test_a_credential_set_in_use_stays_and_names_its_rules(make_cache, upstream):
    api = Api(make_cache(upstream)).described()
    pair = {"usernameSecretIdentifier": "env:NOBODY", "passwordSecretIdentifier": "env:NOBODY"}
    made = api.create("credential-sets", "team-login", {"loginServer": "quay.io", "authCredentials": [pair]})
    assert made["authCredentials"][0]["usernameSecretIdentifier"] == "env:NOBODY"
    made = api.rule("team-rule", "quay.io/team/*", "team/*", credentialSet="team-login")
    assert made["credentialSetResourceId"] == "/credentialSets/team-login"
    assert any("nobody may pull" in note for note in made["notes"])
    refused = refusal(api.delete, "credential-sets", "team-login")
    assert refused.code == "CredentialSetInUse" and '"team-rule"' in refused.message
    assert refusal(api.patch, "credential-sets", "team-login", {"loginServer": "ghcr.io"}).code == "CredentialSetInUse"
    assert refusal(api.rule, "other-rule", "ghcr.io/x/*", "x/*", credentialSet="team-login").code == "CredentialSetMismatch"
    api.patch("cache-rules", "team-rule", {"credentialSet": None})
    api.delete("credential-sets", "team-login")


def test_a_thousand_rules_are_made_one_by_one_and_listed_in_pages(make_cache, upstream):
    cache = make_cache(upstream)
    api = Api(cache)
    for number in range(1000):
        api.rule(f"rule-{number:04}", f"quay.io/team/app{number}", f"app{number}")
    names = [rule["name"] for rule in api.everything("cache-rules", limit=333) if rule["origin"] == "api"]
    assert names == [f"rule-{number:04}" for number in range(1000)]
    assert refusal(api.get, "/cache-rules?limit=1001").status == 400


def test_every_answer_is_as_the_description_says(make_cache, upstream):
    """The stories above check theirs as well; this one makes the calls that they leave out."""
    cache = make_cache(upstream)
    api = Api(cache).described()
    if not api.description:
        skip("python3-jsonschema is not installed")
    rule = {"sourceRepository": "quay.io/team/app", "targetRepository": "app"}
    api.rule("team-app", **{"source": rule["sourceRepository"], "target": rule["targetRepository"]})
    seen = api.get("/cache-rules/team-app")
    assert api.replace("cache-rules", "team-app", {**rule, "tagTtl": "5m", "platforms": ["linux/amd64"]}, seen["etag"])["tagTtl"] == "5m"
    api.get("/cache-rules")
    api.get("/credential-sets?limit=5")
    api.get("/status")
    assert api.ask("GET", "/api/v1/cache-rules/team-app", headers={"If-None-Match": f'"{api.get("/cache-rules/team-app")["etag"]}"'})[0] == 304
    for method, path, document, headers, status in [
            ("GET", "/cache-rules/never-was", None, {}, 404),
            ("GET", "/credential-sets/never-was", None, {}, 404),
            ("GET", "/cache-rules?limit=0", None, {}, 400),
            ("GET", "/cache-rules?no=1", None, {}, 400),
            ("PUT", "/credential-sets/team-login", {"loginServer": "quay.io"}, {"If-None-Match": "*"}, 400),
            ("PUT", "/credential-sets/team-login", {}, {}, 428),
            ("PATCH", "/cache-rules/team-app", {"tagTtl": None}, {"If-Match": '"0000000000000000"'}, 412),
            ("DELETE", "/cache-rules/team-app?dryRun=true", None, {}, 200),
            ("POST", "/apply", {"cacheRules": [{}]}, {}, 400),
            ("POST", "/apply", {"rules": []}, {}, 400)]:
        assert api.ask(method, f"/api/v1{path}", document, headers)[0] == status, (method, path)
    api.delete("cache-rules", "team-app")
    api.token = None
    assert api.ask("DELETE", "/api/v1/cache-rules/team-app")[0] == 401
    assert api.ask("GET", "/api/v1/cache-rules", headers={"Host": "evil.test"})[0] == 403
    assert api.description.checked > 15


def test_the_limit_of_rules_names_itself(make_cache, upstream):
    api = Api(make_cache(upstream, server={"rules_max": 3}))
    api.rule("rule-1", "quay.io/team/a", "a")
    api.rule("rule-2", "quay.io/team/b", "b")
    refused = refusal(api.rule, "rule-3", "quay.io/team/c", "c")
    assert refused.code == "TooManyRules" and "limit of 3" in refused.message and "rules_max" in refused.message

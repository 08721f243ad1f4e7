"""Who may pull. Accounts and tokens on the registry listener, rules that are not for everybody, and nothing that tells a stranger what is here."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import threading
import time
import urllib.parse

from harness.api import Api
from harness.cache import Settings
from harness.command import succeeds
from harness.story import Rows
from harness.upstream import Answer, Basic

ALICE, BOB = "correct-horse-battery", "another-horse-staple"
UPSTREAM_SECRETS = ("lab", "upstream-password-1")


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def change(cache, method, path, body=None, headers=()):
    """Over the API, held against its description: (status, document)."""
    status, _, document = Api(cache).described().ask(method, path, body, headers)
    return status, document


def make_account(cache, name, password=None, **fields):
    """What the account logs in with."""
    status, document = change(cache, "PUT", f"/api/v1/accounts/{name}", {**({"password": password} if password else {"kind": "token"}), **fields},
                              {"If-None-Match": "*"})
    assert status == 201, (status, document)
    secret = password or document["secret"]
    cache.secrets.append(secret)
    return secret


def tenants(make_cache, upstream, directory, **server):
    """Two tenants with credentials of their own for one private upstream, and a corner of it that is for everybody."""
    settings = Settings(server={"shards": 2, "default_login_server": "", **server}, store={"path": f"{directory}/store", "capacity": "1GiB"})
    settings.upstreams.append({"login_server": upstream.login_server, "endpoints": [upstream.url], "allow_private": True})
    for name in ("atenant", "btenant"):
        for key, value in zip(("username", "password"), UPSTREAM_SECRETS):
            with open(f"{directory}/{name}.{key}", "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(value)
        settings.credential_sets.append({"name": name, "login_server": upstream.login_server, "username": f"file:{directory}/{name}.username",
                                         "password": f"file:{directory}/{name}.password"})
    source = upstream.login_server
    settings.rules = [{"name": "rule-a", "source": f"{source}/*", "target": "a/*", "credential_set": "atenant", "pull": ["alice"]},
                      {"name": "rule-b", "source": f"{source}/*", "target": "b/*", "credential_set": "btenant", "pull": ["bobby"]},
                      {"name": "rule-open", "source": f"{source}/open/*", "target": "open/*", "credential_set": "atenant", "pull": ["anonymous"]},
                      {"name": "rule-unsaid", "source": f"{source}/unsaid/*", "target": "unsaid/*", "credential_set": "atenant"}]
    cache = make_cache(settings=settings)
    cache.secrets.append(UPSTREAM_SECRETS[1])
    make_account(cache, "alice", ALICE)
    make_account(cache, "bobby", BOB)
    return cache


def guarded(make_upstream, **words):
    return make_upstream(guard=Basic(*UPSTREAM_SECRETS), **words)


def token_of(cache, scope="", headers=()):
    query = urllib.parse.urlencode({"service": "entrepot", "scope": scope})
    reply = cache.get(f"/v2/token?{query}", headers)
    assert reply.status == 200, (reply, reply.body)
    return json.loads(reply.body)["token"]


def paths_of(target, image):
    """Everything that can be asked of an image, by GET and HEAD, whole and in part."""
    repository = f"{target}/{image.manifest.repository}"
    layer, digest = image.parts[-1].digest, image.manifest.digest
    for method in ("GET", "HEAD"):
        for path in (f"/v2/{repository}/manifests/1", f"/v2/{repository}/manifests/{digest}", f"/v2/{repository}/blobs/{layer}",
                     f"/v2/{repository}/tags/list", f"/v2/{repository}/referrers/{digest}", f"/v2/{repository}/manifests/absent"):
            yield method, path, {}
    yield "GET", f"/v2/{repository}/blobs/{layer}", {"Range": "bytes=0-9"}
    yield "GET", f"/v2/{repository}/blobs/{layer}", {"If-None-Match": f'"{layer}"'}
    yield "GET", f"/v2/{repository}/manifests/1", {"If-None-Match": f'"{digest}"'}


def likeness(reply, path):
    """What a stranger sees of a reply, with the repository's own name, which he brought himself, taken out."""
    repository = path.removeprefix("/v2/").split("/manifests/")[0].split("/blobs/")[0].split("/tags/")[0].split("/referrers/")[0]
    fields = sorted((name, value) for name, value in reply.headers if name not in ("date", "content-length"))
    return reply.status, json.dumps(fields).replace(repository, "NAME"), reply.body.replace(repository.encode(), b"NAME")


def test_G01_a_private_image_that_is_cached_is_not_there_for_strangers(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    image = upstream.offers_image(tag="1", repository="team/app")
    cache = tenants(make_cache, upstream, directory)
    for part in (image.manifest, *image.parts):
        kind = "manifests" if part is image.manifest else "blobs"
        assert cache.get(f"/v2/a/team/app/{kind}/{part.digest}", basic("alice", ALICE)).digest() == part.digest
    seen = len(upstream.seen())
    anybody = bearer(token_of(cache, "repository:a/team/app:pull"))
    with Rows() as rows:
        for method, path, headers in paths_of("a", image):
            unknown = path.replace("/v2/a/team/app/", "/v2/zzz/team/app/")
            never_asked = path.replace("/v2/a/team/app/", "/v2/a/team/never/")
            for who, shown in (("nothing shown", {}), ("a token for anybody", anybody)):
                mine = cache.get(path, {**headers, **shown}, method)
                rows.check(mine.status == 401 and "www-authenticate" in dict(mine.headers), f"{who}: {method} {path}", mine)
                for other in (unknown, never_asked):
                    theirs = cache.get(other, {**headers, **shown}, method)
                    rows.check(likeness(mine, path) == likeness(theirs, other), f"{who}: {method} {path} and {other}", (likeness(mine, path), likeness(theirs, other)))
    assert len(upstream.seen()) == seen, "nobody asked upstream for a stranger"


def test_G02_one_tenant_gets_nothing_by_what_another_cached(make_cache, make_upstream, directory):
    """A digest alone is no capability."""
    upstream = guarded(make_upstream)
    image = upstream.offers_image(tag="1", repository="team/app")
    cache = tenants(make_cache, upstream, directory)
    cache.get("/v2/a/team/app/manifests/1", {**basic("alice", ALICE), "Accept": "*/*"})
    layer = image.parts[-1]
    assert cache.get(f"/v2/a/team/app/blobs/{layer.digest}", basic("alice", ALICE)).digest() == layer.digest
    with Rows() as rows:
        # bobby asks in his own repository, where upstream has no such thing.
        for path in (f"/v2/b/other/app/blobs/{layer.digest}", f"/v2/b/other/app/manifests/{image.manifest.digest}"):
            for method in ("GET", "HEAD"):
                for headers in ({}, {"Range": "bytes=0-9"}, {"If-None-Match": f'"{layer.digest}"'}):
                    reply = cache.get(path, {**basic("bobby", BOB), **headers}, method)
                    rows.check(reply.status == 404, f"{method} {path} {headers}", reply)
        # and in alice's: it is as absent as what nobody has.
        for method, path, headers in paths_of("a", image):
            mine = cache.get(path, {**headers, **basic("bobby", BOB)}, method)
            other = path.replace("/v2/a/team/app/", "/v2/zzz/team/app/")
            theirs = cache.get(other, {**headers, **basic("bobby", BOB)}, method)
            rows.check(mine.status == 404 and likeness(mine, path) == likeness(theirs, other), f"{method} {path}", (mine, theirs))
    # What upstream gives to bobby's own credentials he has, and the bytes that are here are not fetched again.
    gets = upstream.gets(layer)
    assert cache.get(f"/v2/b/team/app/blobs/{layer.digest}", basic("bobby", BOB)).digest() == layer.digest
    assert upstream.gets(layer) == gets and upstream.asked(method="HEAD", path=layer.path)


def test_G04_a_rule_with_credentials_is_nobodys_until_the_operator_says_whose(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    upstream.offers_image(tag="1", repository="unsaid/app")
    image = upstream.offers_image(tag="1", repository="open/app")
    cache = tenants(make_cache, upstream, directory)
    with Rows() as rows:
        for who, shown in (("a stranger", {}), ("alice", basic("alice", ALICE))):
            reply = cache.get("/v2/unsaid/app/manifests/1", shown)
            rows.check(reply.status == 403 and reply.error_code == "DENIED", who, reply)
            rows.check(b"'entrepot cache explain unsaid/app'" in reply.body and b"--pull" in reply.body, f"{who} can say to the operator what to do", reply.body)
            rows.check(b"rule-unsaid" not in reply.body and upstream.login_server.encode() not in reply.body, f"{who} reads neither the rule nor its source", reply.body)
        reply = cache.get(f"/v2/unsaid/app/manifests/1?ns={upstream.login_server}")
        rows.check(reply.status == 403 and f"'entrepot cache explain unsaid/app --ns {upstream.login_server}'".encode() in reply.body, "as containerd asks", reply.body)
    explained = succeeds(cache, "cache", "explain", "unsaid/app").out
    assert "rule-unsaid" in explained and "nobody" in explained, explained
    assert "rule-unsaid" in cache.log(), "the start warns of it"
    assert cache.get(f"/v2/open/app/manifests/{image.manifest.digest}").digest() == image.manifest.digest
    # Nobody is asked who he is where everybody may: what a client has of other times does no harm.
    assert cache.get(f"/v2/open/app/manifests/{image.manifest.digest}", bearer("no.such.token")).status == 200
    assert cache.get(f"/v2/open/app/manifests/{image.manifest.digest}", basic("alice", "wrong-password")).status == 200


def test_the_catalog_names_only_what_the_visitor_may_pull(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    for repository in ("team/app", "open/app"):
        upstream.offers_image(tag="1", repository=repository)
    cache = tenants(make_cache, upstream, directory)
    accept = {"Accept": "*/*"}
    assert cache.get("/v2/a/team/app/manifests/1", {**accept, **basic("alice", ALICE)}).status == 200
    assert cache.get("/v2/open/app/manifests/1", accept).status == 200
    team, opened = f"{upstream.login_server}/team/app", f"{upstream.login_server}/open/app"

    def catalog(headers):
        return json.loads(cache.get("/v2/_catalog", headers).body)["repositories"]

    end = time.monotonic() + 5      # the ledger is a moment behind the answers
    while catalog(basic("alice", ALICE)) != sorted([opened, team]) and time.monotonic() < end:
        time.sleep(0.02)
    assert catalog({}) == [opened]
    assert catalog(basic("alice", ALICE)) == sorted([opened, team])
    assert catalog(basic("bobby", BOB)) == [opened]
    assert catalog(bearer(token_of(cache, "registry:catalog:*", basic("alice", ALICE)))) == sorted([opened, team])
    assert cache.get("/v2/_catalog", basic("alice", "wrong")).status == 401
    page = cache.get("/v2/_catalog?n=1", {})
    assert json.loads(page.body)["repositories"] == [opened] and page.header("link") is None, "no page follows that he could not see"
    # With the same rights upstream, for everybody, and with what is Alice's left out.
    rule = {"sourceRepository": f"{upstream.login_server}/*", "targetRepository": "most/*", "credentialSet": "atenant", "pull": ["anonymous"], "deny": ["team/**"]}
    assert change(cache, "PUT", "/api/v1/cache-rules/most-of-it", rule, {"If-None-Match": "*"})[0] == 201
    assert cache.get("/v2/most/team/app/manifests/1", accept).status == 404
    assert catalog({}) == [opened], "what a rule denies is not named through it"


def test_a_purge_of_one_tenant_leaves_the_others_what_they_have(make_cache, make_upstream, directory):
    """Both came by the same repository upstream, each by rights of its own; a tag is remembered once."""
    upstream = guarded(make_upstream)
    images = {tag: upstream.offers_image(tag=tag, repository="team/app", seed=tag) for tag in ("1", "2")}
    cache = tenants(make_cache, upstream, directory)
    cache_api, alice, bob = Api(cache), basic("alice", ALICE), basic("bobby", BOB)
    pulls = [(f"/v2/{target}/team/app/{kind}", who) for tag, image in images.items() for target, who in (("a", alice), ("b", bob))
             for kind in (f"manifests/{tag}", *(f"blobs/{blob.digest}" for blob in image.blobs))]

    def statuses(target):
        return {cache.get(path, who).status for path, who in pulls if path.startswith(f"/v2/{target}/")}

    end = time.monotonic() + 30     # the ledger is a moment behind the answers
    while cache_api.must("POST", "/purge?dryRun=true", {"rule": "rule-a"}) != {"tags": 2, "manifests": 0, "blobs": 0, "bytes": 0, "kept": 6,
                                                                                    "sharedWith": ["rule-open", "rule-unsaid"]}:
        assert statuses("a") == statuses("b") == {200} and time.monotonic() < end
        time.sleep(0.05)
    assert cache_api.must("POST", "/purge", {"repository": "a/team/app", "tag": "1"}) == {"tags": 1, "manifests": 0, "blobs": 0, "bytes": 0, "kept": 3, "sharedWith": []}
    assert cache_api.must("POST", "/purge", {"rule": "rule-a"})["tags"] == 1
    assert cache_api.must("POST", "/purge", {"rule": "rule-a"})["tags"] == 0
    upstream.always("any", Answer(503))
    assert statuses("b") == {200}, "also of tags, though upstream is away"
    assert 200 not in statuses("a")


def test_G06_what_is_cached_and_what_is_not_take_the_same_time_for_strangers(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    image = upstream.offers_image(tag="1", repository="team/app")
    cache = tenants(make_cache, upstream, directory)
    layer = image.parts[-1].digest
    assert cache.get(f"/v2/a/team/app/blobs/{layer}", basic("alice", ALICE)).status == 200

    def median(path, headers):
        times = []
        with cache.connect() as connection:
            for _ in range(400):
                started = time.perf_counter()
                connection.exchange("GET", path, headers)
                times.append(time.perf_counter() - started)
        return sorted(times)[len(times) // 2]

    with Rows() as rows:
        for who, headers in (("a stranger", {}), ("bobby", bearer(token_of(cache, "repository:a/team/app:pull repository:a/team/nothing:pull", basic("bobby", BOB))))):
            here, absent = median(f"/v2/a/team/app/blobs/{layer}", headers), median(f"/v2/a/team/nothing/blobs/{layer}", headers)
            # Far below what a look at the disk or upstream would add, far above what a busy machine scatters.
            rows.check(abs(here - absent) < 0.0005, who, f"{here * 1e6:.0f} and {absent * 1e6:.0f} us")


def test_G07_a_right_that_is_taken_away_ends_with_the_next_request(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    image = upstream.offers_image(tag="1", repository="team/app")
    cache = tenants(make_cache, upstream, directory)
    path = f"/v2/a/team/app/blobs/{image.parts[-1].digest}"
    scope = "repository:a/team/app:pull"
    with Rows() as rows:
        held = bearer(token_of(cache, scope, basic("alice", ALICE)))
        rows.check(cache.get(path, held).status == 200, "as long as she may", "")
        # The account's own patterns.
        assert change(cache, "PATCH", "/api/v1/accounts/alice", {"repositories": ["elsewhere/**"]})[0] == 200
        rows.check(cache.get(path, held).status == 404, "G07: her patterns no longer cover it", cache.get(path, held))
        rows.check(cache.get(path, basic("alice", ALICE)).status == 404, "and by Basic", "")
        assert change(cache, "PATCH", "/api/v1/accounts/alice", {"repositories": None})[0] == 200
        rows.check(cache.get(path, held).status == 200, "given back", "")
        # Its time.
        assert change(cache, "PATCH", "/api/v1/accounts/alice", {"expires": "2020-01-01T00:00:00Z"})[0] == 200
        rows.check(cache.get(path, held).status == 401, "the account has run out", cache.get(path, held))
        rows.check(cache.get(path, basic("alice", ALICE)).status == 401, "and by Basic", "")
        assert change(cache, "PATCH", "/api/v1/accounts/alice", {"expires": None})[0] == 200
        # Its password.
        assert change(cache, "PATCH", "/api/v1/accounts/alice", {"password": "alices-new-password"})[0] == 200
        rows.check(cache.get(path, held).status == 401, "G08: a token of the old password", "")
        rows.check(cache.get(path, basic("alice", ALICE)).status == 401, "the old password, remembered a moment ago", "")
        rows.check(cache.get(path, basic("alice", "alices-new-password")).status == 200, "the new one", "")
        # The account itself, and another of the same name.
        held = bearer(token_of(cache, scope, basic("alice", "alices-new-password")))
        status, answer = change(cache, "DELETE", "/api/v1/accounts/alice")
        assert status == 200 and "rule-a" in answer["notes"][0], answer     # the rules that still name her
        rows.check(cache.get(path, held).status == 401, "the account is gone", "")
        make_account(cache, "alice", "alices-new-password")
        rows.check(cache.get(path, held).status == 401, "another alice", "")


def test_tokens_survive_a_restart_and_name_their_repositories(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    image = upstream.offers_image(tag="1", repository="team/app")
    cache = tenants(make_cache, upstream, directory)
    path = f"/v2/a/team/app/blobs/{image.parts[-1].digest}"
    right = token_of(cache, "repository:a/team/app:pull,push repository:a/team/two:pull", basic("alice", ALICE))
    wrong = token_of(cache, "repository:a/team/other:pull", basic("alice", ALICE))
    robot = make_account(cache, "robot", repositories=["a/**"])
    cache.kill().start()
    assert cache.get(path, bearer(right)).status == 200, "a running pull goes on over a restart"
    refused = cache.get(path, bearer(wrong))
    assert refused.status == 401 and 'error="insufficient_scope"' in refused.header("www-authenticate")
    assert 'scope="repository:a/team/app:pull"' in refused.header("www-authenticate")
    # The robot is known, and in nobody's list.
    assert cache.get(path, basic("robot", robot)).status == 404
    assert cache.get("/v2/", basic("robot", robot)).status == 200


def test_H10_forged_tokens_are_refused(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    image = upstream.offers_image(tag="1", repository="team/app")
    cache = tenants(make_cache, upstream, directory)
    path = f"/v2/a/team/app/blobs/{image.parts[-1].digest}"
    good = token_of(cache, "repository:a/team/app:pull", basic("alice", ALICE))
    header, payload, mac = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert claims["exp"] - claims["iat"] <= 300 and claims["sub"] == "alice" and claims["aud"] == "entrepot"
    assert ALICE not in json.dumps(claims) and "argon" not in json.dumps(claims)

    def encoded(value):
        return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(b"=").decode()

    def signed(head, body, key):
        return f"{encoded(head)}.{encoded(body)}." + encoded(hmac.new(key, f"{encoded(head)}.{encoded(body)}".encode(), hashlib.sha256).digest())

    usual = {"alg": "HS256", "typ": "JWT"}
    forged = {"alg none": f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{payload}.", "alg none, old signature": f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{payload}.{mac}",
              "RS256": f"{encoded({'alg': 'RS256', 'typ': 'JWT'})}.{payload}.{mac}", "empty key": signed(usual, claims, b""),
              "a key of zeros": signed(usual, claims, bytes(32)), "a key by path": signed({**usual, "kid": "../../x"}, claims, b""),
              "expired": signed(usual, {**claims, "exp": 1}, b""), "future": signed(usual, {**claims, "nbf": 2 ** 40}, b""),
              "wrong audience": signed(usual, {**claims, "aud": "registry"}, b""), "another account": f"{header}.{encoded({**claims, 'sub': 'bobby'})}.{mac}",
              "no signature": f"{header}.{payload}", "empty": "x", "dots": "..", "14 kB": "A" * 14_000}
    with Rows() as rows:
        for what, token in forged.items():
            reply = cache.get(path, bearer(token))
            rows.check(reply.status == 401 and 'error="invalid_token"' in reply.header("www-authenticate", ""), what, reply)
            rows.check(cache.get("/v2/", bearer(token)).status == 401, f"/v2/ with {what}", "")
        rows.check(cache.get(path, bearer("A" * 1_000_000)).status in (400, 431), "1 MB", "")
        rows.check(cache.get(path, bearer(good)).status == 200, "the true one", "")


def test_H04_wrong_passwords_take_their_time_are_limited_by_source_and_lock_nobody_out(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    image = upstream.offers_image(tag="1", repository="team/app")
    cache = tenants(make_cache, upstream, directory)

    def login(name, password):
        started = time.perf_counter()
        reply = cache.get("/v2/token?service=entrepot", basic(name, password))
        return reply, time.perf_counter() - started

    times = {"known": [], "unknown": []}
    for turn in range(9):       # of each length, fewer than the limit
        for who, name in (("known", "alice"), ("unknown", "nobody-here")):
            reply, took = login(name, "x" * (10 + 100 * turn))
            assert reply.status == 401, reply
            times[who].append(took)
    known, unknown = (sorted(times[who])[4] for who in ("known", "unknown"))
    assert 0.5 < known / unknown < 2, f"{known * 1000:.1f} ms for an account, {unknown * 1000:.1f} ms for none"
    body = {reply.body for reply in (login("alice", "wrong-1")[0], login("nobody-here", "wrong-1")[0])}
    assert len(body) == 1, "the same bytes"

    held = token_of(cache, "repository:a/team/app:pull", basic("alice", ALICE))     # and remembered for a minute
    statuses = [login("alice", f"wrong-password-{turn}")[0] for turn in range(60)]
    limited = [reply for reply in statuses if reply.status == 429]
    assert len(limited) > 20, [reply.status for reply in statuses]
    assert int(limited[0].header("retry-after")) >= 1 and limited[0].error_code == "TOOMANYREQUESTS"
    # Alice pulls on, by token and by the password that was right a moment ago; bobby logs in.
    path = f"/v2/a/team/app/blobs/{image.parts[-1].digest}"
    assert cache.get(path, bearer(held)).status == 200
    assert cache.get(path, basic("alice", ALICE)).status == 200
    assert cache.get("/v2/", basic("bobby", BOB)).status == 200
    assert cache.metric("loop_stall_seconds_count") > 0


class Guesser:
    """One connection that tries one password after the other, a hundred at a time before it looks at the answers."""
    AT_ONCE = 100

    def __init__(self, cache, number, tries):
        self.cache, self.number, self.tries = cache, number, tries
        self.answers = {}           # (the account exists, status) -> how often
        self.bodies = set()         # of those that nobody looked at, without the seconds they name
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        with self.cache.connect(timeout=60) as connection:
            for first in range(0, self.tries, self.AT_ONCE):
                turns = [(self.number * self.tries + first + turn, ("alice", "nobody-here")[turn % 2]) for turn in range(self.AT_ONCE)]
                for turn, name in turns:
                    connection.ask("GET", "/v2/token?service=entrepot", basic(name, f"{turn:06}" + "x" * (turn % 500)))
                for _, name in turns:
                    reply = connection.reply()
                    key = (name == "alice", reply.status)
                    self.answers[key] = self.answers.get(key, 0) + 1
                    if reply.status == 429:
                        self.bodies.add(re.sub(rb"in \d+ s", b"in N s", reply.body))


def from_elsewhere(cache, path, headers):
    """One GET from another address of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", cache.port, timeout=20, source_address=("127.0.0.9", 0))
    try:
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def test_H04_a_hundred_thousand_logins_in_vain_cost_a_few_hundred_hashes_and_hold_up_nobody(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    image = upstream.offers_image(tag="1", repository="team/app")
    cache = tenants(make_cache, upstream, directory)
    path, digest = f"/v2/a/team/app/blobs/{image.parts[-1].digest}", image.parts[-1].digest
    assert cache.get(path, basic("alice", ALICE)).digest() == digest
    started, tries = time.monotonic(), 100_000
    guessers = [Guesser(cache, number, tries // 10) for number in range(10)]
    pulls = []
    while any(guesser.thread.is_alive() for guesser in guessers):
        asked = time.monotonic()
        status, body = from_elsewhere(cache, path, basic("alice", ALICE))
        assert status == 200 and f"sha256:{hashlib.sha256(body).hexdigest()}" == digest, "alice pulls on, from where she is"
        assert from_elsewhere(cache, "/v2/", basic("bobby", BOB))[0] == 200, "bobby logs in"
        pulls.append(time.monotonic() - asked)
        time.sleep(0.05)
    took = time.monotonic() - started
    answers = {key: sum(guesser.answers.get(key, 0) for guesser in guessers) for key in ((who, status) for who in (True, False) for status in (401, 429, 503))}
    assert sum(answers.values()) == tries, answers
    hashed = sum(count for (_, status), count in answers.items() if status != 429)
    # 20 for each of the two names and one more in two seconds; what is being hashed when the limit is reached is answered.
    assert hashed <= 2 * (20 + took / 2 + len(guessers)) + 1, (answers, took)
    assert answers[False, 401] > 0 and abs(answers[True, 401] - answers[False, 401]) <= len(guessers) + took / 2, answers
    assert len(set().union(*(guesser.bodies for guesser in guessers))) == 1, "an account and none are told the same"
    assert len(pulls) > 3 and sorted(pulls)[len(pulls) // 2] < 1, (took, pulls)
    assert cache.metric("logins_total", outcome="too_many_tries") >= tries - hashed, answers


test_H04_a_hundred_thousand_logins_in_vain_cost_a_few_hundred_hashes_and_hold_up_nobody.limit_s = 180


def test_logins_are_checked_away_from_the_shards(make_cache, make_upstream, directory):
    """While a crowd tries passwords, who pulls waits for none of them."""
    upstream = guarded(make_upstream)
    image = upstream.offers_image(tag="1", repository="open/app")
    cache = tenants(make_cache, upstream, directory)
    path = f"/v2/open/app/blobs/{image.parts[-1].digest}"
    assert cache.get(path).status == 200
    crowd = [cache.pull("/v2/token?service=entrepot", basic(f"user{number}", "wrong-password")) for number in range(100)]
    worst = 0
    with cache.connect() as connection:
        for _ in range(200):
            started = time.perf_counter()
            assert connection.exchange("GET", path).status == 200
            worst = max(worst, time.perf_counter() - started)
    outcomes = [one.until_head(30).status for one in crowd]
    assert set(outcomes) <= {401, 429, 503}, outcomes
    # One hash takes 20 ms and more, a hundred of them seconds.
    assert worst < 0.5, f"{worst * 1000:.0f} ms"


def test_clients_are_told_where_to_log_in(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    cache = tenants(make_cache, upstream, directory)
    with Rows() as rows:
        reply = cache.get("/v2/")
        rows.check(reply.status == 401 and reply.error_code == "UNAUTHORIZED", "/v2/", reply)
        rows.check(reply.header("www-authenticate") == f'Bearer realm="http://127.0.0.1:{cache.port}/v2/token",service="entrepot"', "its challenge", reply.headers)
        named = cache.get("/v2/a/x/manifests/1", {"Host": "cache.example:5000"}).header("www-authenticate")
        rows.check(named == 'Bearer realm="http://cache.example:5000/v2/token",service="entrepot",scope="repository:a/x:pull"', "by another name", named)
        head = cache.head("/v2/a/x/manifests/1")
        rows.check(head.status == 401 and head.header("www-authenticate"), "HEAD, which is what containerd asks first", head)
        for host in ('evil"quote', "a,b", "a b"):
            answer = cache.get("/v2/", {"Host": host})
            rows.check(answer.status == 400, f"Host {host}", answer)
    post = urllib.parse.urlencode({"grant_type": "password", "service": "entrepot", "client_id": "containerd-client", "scope": "repository:a/team/app:pull",
                                   "username": "alice", "password": ALICE})

    def posted(body, kind="application/x-www-form-urlencoded"):
        with cache.connect() as connection:
            connection.ask("POST", "/v2/token", {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}, body.encode())
            return connection.reply()

    with Rows() as rows:
        answer = posted(post)
        given = json.loads(answer.body)
        rows.check(answer.status == 200 and given["access_token"] and given["expires_in"] <= 300 and "refresh_token" not in given, "OAuth2 password grant", answer.body)
        rows.check(answer.header("cache-control") == "no-store", "kept by nobody", answer.headers)
        rows.check(cache.get("/v2/", bearer(given["access_token"])).status == 200, "its token", "")
        rows.check(posted(post.replace("correct", "wrong")).status == 401, "a wrong password", "")
        rows.check(posted("grant_type=refresh_token&refresh_token=x").status == 400, "another grant", "")
        rows.check(posted(post + "&x=%zz").status == 400, "a malformed form", "")
        rows.check(posted(post, "application/json").status == 415, "another type", "")
        rows.check(posted("x" * 20_000).status == 413, "too long", "")
        rows.check(cache.get("/v2/token", method="PUT").status == 405, "PUT", "")
        rows.check(cache.get("/v2/token", basic("alice", "no")).header("www-authenticate", "").startswith("Basic"), "401 of the token endpoint", "")


def test_public_url_goes_before_the_host(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    cache = tenants(make_cache, upstream, directory, public_url="https://cache.example")
    challenge = cache.get("/v2/", {"Host": "elsewhere.example"}).header("www-authenticate")
    assert challenge == 'Bearer realm="https://cache.example/v2/token",service="entrepot"', challenge


def test_where_everything_is_for_everybody_nobody_is_asked(cache, upstream):
    image = upstream.offers_image(tag="1")
    assert cache.get("/v2/").status == 200
    assert cache.get("/v2/", bearer("junk")).status == 200
    assert cache.tag(image, "1", basic("who", "ever")).digest() == image.manifest.digest


def test_credentials_of_clients_reach_no_upstream(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    image = upstream.offers_image(tag="1", repository="team/app")
    cache = tenants(make_cache, upstream, directory)
    held = token_of(cache, "repository:a/team/app:pull", basic("alice", ALICE))
    for headers in (basic("alice", ALICE), bearer(held)):
        assert cache.get("/v2/a/team/app/manifests/1", {**headers, "Accept": "*/*"}).status == 200
        assert cache.get(f"/v2/a/team/app/blobs/{image.parts[-1].digest}", headers).status == 200
    allowed = {None, basic(*UPSTREAM_SECRETS)["Authorization"]}
    assert {request.header("authorization") for request in upstream.seen()} <= allowed
    cache.secrets += [held, basic("alice", ALICE)["Authorization"].split()[1]]


def test_accounts_over_the_api(make_cache, make_upstream, directory):
    upstream = guarded(make_upstream)
    cache = tenants(make_cache, upstream, directory)
    with Rows() as rows:
        status, made = change(cache, "PUT", "/api/v1/accounts/robot", {"kind": "token", "repositories": ["a/*"], "expires": "2099-01-01T00:00:00Z"}, {"If-None-Match": "*"})
        rows.check(status == 201 and made["secret"].startswith("ept_") and made["repositories"] == ["a/*"], "made", made)
        cache.secrets.append(made["secret"])
        shown = json.loads(cache.admin("/api/v1/accounts/robot")[1])
        rows.check("secret" not in shown and "hash" not in shown and shown["kind"] == "token", "shown without its secret", shown)
        listed = json.loads(cache.admin("/api/v1/accounts")[1])
        rows.check([one["name"] for one in listed["value"]] == ["alice", "bobby", "robot"] and listed["nextLink"] is None, "listed by name", listed)
        rows.check("argon" not in json.dumps(listed) and "sha256" not in json.dumps(listed), "no hash in a list", "")
        page = json.loads(cache.admin("/api/v1/accounts?limit=1&after=alice")[1])
        rows.check(page["value"][0]["name"] == "bobby" and page["nextLink"], "a page", page)
        status, _ = change(cache, "PUT", "/api/v1/accounts/robot", {"kind": "token"}, {"If-None-Match": "*"})
        rows.check(status == 409, "there already", status)
        rows.check(change(cache, "PUT", "/api/v1/accounts/robot", {"kind": "token"})[0] == 428, "neither create nor replace", "")
        rows.check(change(cache, "PUT", "/api/v1/accounts/robot", {"kind": "token"}, {"If-Match": '"0000000000000000"'})[0] == 412, "another's etag", "")
        status, again = change(cache, "PUT", "/api/v1/accounts/robot", {"kind": "token"}, {"If-Match": f'"{shown["etag"]}"'})
        rows.check(status == 200 and again["secret"] != made["secret"], "a new secret", again)
        cache.secrets.append(again["secret"])
        rows.check(cache.get("/v2/", basic("robot", made["secret"])).status == 401, "the old secret", "")
        rows.check(cache.get("/v2/", basic("robot", again["secret"])).status == 200, "the new one", "")
        status, plan = change(cache, "PUT", "/api/v1/accounts/another?dryRun=true", {"kind": "token"}, {"If-None-Match": "*"})
        rows.check(status == 200 and plan["wouldChange"][0]["action"] == "create" and "secret" not in json.dumps(plan), "a dry run", plan)
        rows.check(cache.admin("/api/v1/accounts/another")[0] == 404, "made nothing", "")
        for what, body in (("short", {"password": "short"}), ("unknown member", {"password": "long-enough", "hash": "x"}), ("no password", {}),
                           ("token with a password", {"kind": "token", "password": "long-enough"}), ("pattern", {"password": "long-enough", "repositories": ["a-*"]})):
            status, refused = change(cache, "PUT", "/api/v1/accounts/carol", body, {"If-None-Match": "*"})
            rows.check(status == 400 and "carol" in refused["error"]["message"] and "long-enough" not in refused["error"]["message"], what, (status, refused))
        rows.check(change(cache, "PUT", "/api/v1/accounts/anonymous", {"password": "long-enough"}, {"If-None-Match": "*"})[0] == 400, "a name that means everybody", "")
        rows.check(change(cache, "PATCH", "/api/v1/accounts/robot", {"password": "long-enough"})[0] == 400, "a password for a token", "")
        rows.check(change(cache, "DELETE", "/api/v1/accounts/robot")[0] == 204, "deleted", "")
        rows.check(cache.get("/v2/", basic("robot", again["secret"])).status == 401, "and unknown", "")
    cache.kill().start()
    assert cache.get("/v2/", basic("alice", ALICE)).status == 200 and cache.admin("/api/v1/accounts/robot")[0] == 404

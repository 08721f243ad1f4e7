"""Secrets go to the origins they belong to, and nowhere else: not over a redirect, not to a realm somebody else names."""
import os
import time

from harness.logins import Logins, write_secret
from harness.origin import Answer
from harness.story import Rows
from harness.upstream import INDEX, MANIFEST, Basic, Bearer, with_challenge

USER, PASSWORD = "lab", "correct-horse-battery"
SECRETS = (USER, PASSWORD)


def test_basic_credentials_answer_a_basic_challenge(make_cache, make_upstream):
    upstream = make_upstream(guard=Basic(*SECRETS))
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, credentials=SECRETS)
    assert cache.tag(image, "1").digest() == image.manifest.digest
    for part in image.parts:
        assert cache.get(part).digest() == part.digest


def test_a_wrong_password_is_told_and_not_hammered(make_cache, make_upstream):
    upstream = make_upstream(guard=Basic(USER, "another"))
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, credentials=SECRETS)
    reply = cache.tag(image, "1")
    assert reply.status in (401, 403, 502) and b"rule0" in reply.body, (reply, reply.body)
    assert PASSWORD.encode() not in reply.body
    assert len(upstream.seen()) <= 6, [request.target for request in upstream.seen()]


def test_without_credentials_a_challenge_is_answered_by_an_anonymous_token(make_cache, make_upstream, make_tokens):
    tokens = make_tokens()
    upstream = make_upstream(guard=Bearer(tokens))
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream)
    assert cache.tag(image, "1").digest() == image.manifest.digest
    for part in image.parts:
        assert cache.get(part).digest() == part.digest
    assert len(tokens.seen()) == 1 and tokens.seen()[0].header("authorization") is None


def test_a_token_is_renewed_when_it_ends_and_not_before(make_cache, make_upstream, make_tokens):
    tokens = make_tokens(username=USER, password=PASSWORD, life=2)
    upstream = make_upstream(guard=Bearer(tokens))
    cache = make_cache(upstream, credentials=SECRETS, upstream={"realms": [f"{tokens.url}/token"]})
    for turn in range(3):
        blob = upstream.offers()
        assert cache.get(blob).digest() == blob.digest, turn
        time.sleep(1.3)
    assert 2 <= len(tokens.seen()) <= 4, len(tokens.seen())


def test_a_token_that_is_revoked_early_is_replaced_once(make_cache, make_upstream, make_tokens):
    tokens = make_tokens(username=USER, password=PASSWORD)
    upstream = make_upstream(guard=Bearer(tokens))
    cache = make_cache(upstream, credentials=SECRETS, upstream={"realms": [f"{tokens.url}/token"]})
    first, second = upstream.offers(), upstream.offers()
    cache.get(first)
    tokens.given.clear()
    assert cache.get(second).digest() == second.digest and len(tokens.seen()) == 2


def test_each_repository_gets_a_token_of_its_own_scope(make_cache, make_upstream, make_tokens):
    tokens = make_tokens(username=USER, password=PASSWORD)
    upstream = make_upstream(guard=Bearer(tokens))
    cache = make_cache(upstream, credentials=SECRETS, upstream={"realms": [f"{tokens.url}/token"]})
    for name in ("lab/one", "lab/two"):
        blob = upstream.offers(repository=name)
        assert cache.get(blob).digest() == blob.digest
    assert sorted(scope for scopes, _ in tokens.given.values() for scope in scopes) == ["repository:lab/one:pull", "repository:lab/two:pull"]


def test_a_realm_that_nobody_listed_gets_no_password(make_cache, make_upstream, make_trap):
    """E01. Every realm below leads to a trap, or pretends to be one of ours."""
    trap = make_trap()
    port = trap.port
    realms = [f"http://127.0.0.1:{port}/token", f"http://localhost:{port}/token", f"http://127.0.0.2:{port}/token", f"http://good@127.0.0.1:{port}/token",
              f"http://{{authority}}@127.0.0.1:{port}/token", f"http://0x7f000001:{port}/token", f"http://127.1:{port}/token", f"http://[::1]:{port}/token",
              f"http://[::ffff:127.0.0.1]:{port}/token", f"http://localhost.:{port}/token", f"//127.0.0.1:{port}/token", f"\\\\\\\\127.0.0.1:{port}\\\\token",
              f"HTTP://127.0.0.1:{port}/token", f"http://127.0.0.1:{port}\\@{{authority}}/token", f"http://127.0.0.1:{port}#@{{authority}}/token",
              f"http://127.0.0.1:{port}?@{{authority}}/token", "http://169.254.169.254/latest/meta-data/", "/token", "", "javascript:alert(1)", "file:///etc/passwd",
              f"http://127.0.0.1:{port}/%0d%0aX:y", f"https://127.0.0.1:{port}/token"]
    with Rows() as rows:
        for realm in realms:
            upstream = make_upstream()
            authority = f"127.0.0.1:{upstream.port}"
            upstream.guard = Bearer(None, challenge=f'Bearer realm="{realm.replace("{authority}", authority)}",service="registry.lab",scope="repository:lab/app:pull"')
            image = upstream.offers_image(tag="1")
            cache = make_cache(upstream, credentials=SECRETS)
            started = time.monotonic()
            reply = cache.tag(image, "1")
            rows.check(reply.status in (401, 403, 502, 503, 504), realm, reply)
            rows.check(time.monotonic() - started < 20, f"{realm}: time", time.monotonic() - started)
            rows.check(not trap.secrets(), f"{realm}: the trap got", trap.secrets())
            rows.check(not any((r.header("authorization") or "").startswith("Basic") for r in upstream.seen() if "/token" not in r.path),
                       f"{realm}: Basic to a Bearer challenge", "")
            cache.stop()
            cache.expect_death = True


test_a_realm_that_nobody_listed_gets_no_password.limit_s = 240


def test_a_listed_realm_does_get_it(make_cache, make_upstream, make_tokens):
    tokens = make_tokens(username=USER, password=PASSWORD)
    upstream = make_upstream(guard=Bearer(tokens))
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, credentials=SECRETS, upstream={"realms": [f"{tokens.url}/token"]})
    assert cache.tag(image, "1").digest() == image.manifest.digest
    assert tokens.seen()[0].header("authorization") == Basic(*SECRETS).expected


def test_redirects_never_carry_a_secret(make_cache, make_upstream, make_tokens, make_trap):
    """E07, for Basic and for Bearer, over one hop and over two, and back to the registry's own host."""
    tokens = make_tokens(username=USER, password=PASSWORD)
    with Rows() as rows:
        for scheme, guard in (("Basic", Basic(*SECRETS)), ("Bearer", Bearer(tokens))):
            upstream = make_upstream(guard=guard)
            cache = make_cache(upstream, credentials=SECRETS, upstream={"realms": [f"{tokens.url}/token"]})
            for status in (301, 302, 303, 307, 308):
                blob = upstream.offers("50KiB")
                second = make_trap(answer=Answer(200, body=blob.data))
                first = make_trap(answer=Answer(status, {"Location": f"{second.url}/b", "Set-Cookie": "a=b"}, b""))
                upstream.next(blob, Answer(status, {"Location": f"{first.url}/a?sig=1", "Set-Cookie": "c=d"}, b""))
                reply = cache.get(blob)
                rows.check(reply.digest() == blob.digest, f"{scheme} {status}", reply)
                rows.check(not first.secrets() and not second.secrets(), f"{scheme} {status}", first.secrets() + second.secrets())
            back = upstream.offers("50KiB")
            detour = make_trap(answer=Answer(307, {"Location": f"{upstream.url}{back.path}?signed=1"}, b""))
            upstream.next(back, Answer(307, {"Location": f"{detour.url}/x"}, b""))
            cache.get(back)
            returned = [r for r in upstream.seen() if "signed=1" in r.target]
            rows.check(all(r.header("authorization") is None for r in returned[:1]), f"{scheme}: dropped once is dropped for good", returned[:1])
            cache.stop()
            cache.expect_death = True


def test_a_redirect_that_challenges_gets_no_secret(make_cache, make_upstream, make_trap):
    upstream = make_upstream(guard=Basic(*SECRETS))
    cache = make_cache(upstream, credentials=SECRETS)
    blob = upstream.offers()
    asking = with_challenge('Basic realm="give"')
    trap = make_trap(answer=asking)
    upstream.always(blob, Answer(307, {"Location": f"{trap.url}/x"}, b""))
    reply = cache.get(blob)
    assert reply.status >= 400 and trap.seen(), reply


def test_redirects_are_bounded(cache, upstream):
    with Rows() as rows:
        for name, location in (("to itself", lambda blob: f"{upstream.url}{blob.path}"), ("relative to itself", lambda blob: blob.path),
                               ("nowhere", lambda blob: ""), ("no URL", lambda blob: "ht!tp://x y/"), ("another scheme", lambda blob: "ftp://127.0.0.1/x"),
                               ("a file", lambda blob: "file:///etc/passwd"), ("link-local", lambda blob: "http://169.254.169.254/latest/"),
                               ("CRLF", lambda blob: "http://127.0.0.1:1/%0d%0aX: y")):
            blob = upstream.offers()
            upstream.always(blob, Answer(307, {"Location": location(blob)}, b""))
            started = time.monotonic()
            reply = cache.get(blob, timeout=40)
            rows.check(reply.status in (403, 502, 503, 504), name, reply)
            rows.check(upstream.gets(blob) <= 24, f"{name}: requests", upstream.gets(blob))
            rows.check(time.monotonic() - started < 25, f"{name}: time", time.monotonic() - started)
        relative = upstream.offers()
        twin = upstream.offers(repository="lab/twin", data=relative.data)
        upstream.next(relative, Answer(307, {"Location": twin.path}, b""))
        rows.check(cache.fetches_again(relative), "a relative location is good", "")


def test_a_redirect_to_our_own_listeners_is_not_followed(cache, upstream):
    with Rows() as rows:
        for name, port in (("the admin listener", cache.admin_port), ("the registry listener", cache.port)):
            blob = upstream.offers()
            before = cache.metric("requests_total")
            upstream.always(blob, Answer(307, {"Location": f"http://127.0.0.1:{port}/v2/"}, b""))
            rows.check(cache.get(blob).status >= 400, f"E10 {name}", "")
            rows.check(cache.metric("requests_total") - before <= 2, f"E10 {name}: asked itself", cache.metric("requests_total") - before)


def test_a_private_address_needs_allow_private(make_cache, make_upstream):
    upstream = make_upstream()
    blob = upstream.offers()
    cache = make_cache(upstream, upstream={"allow_private": False}, start=False)
    try:
        cache.start()
    except AssertionError:
        cache.expect_death = True
        assert "allow_private" in cache.log(), cache.log()[-500:]
        return
    reply = cache.get(blob)
    assert reply.status >= 400 and not upstream.seen(), "E13"


def test_proxy_variables_of_the_environment_are_ignored(make_cache, make_trap, upstream):
    proxy = make_trap()
    blob = upstream.offers()
    names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    cache = make_cache(upstream, environment={name: proxy.url for name in names})
    assert cache.get(blob).digest() == blob.digest and not proxy.seen(), "E18"


def test_token_servers_that_answer_nonsense(make_cache, make_upstream, make_tokens):
    """No answer of a token server may hang a pull, grow without bound, or be sent on as a header of its making."""
    answers = {"not JSON": Answer(200, body=b"<html>"), "no token": Answer(200, body=b"{}"), "a number": Answer(200, body=b'{"token":5}'),
               "CRLF in it": Answer(200, body=b'{"token":"a\\r\\nX-Evil: 1"}'), "64 MiB": Answer(200, body=b'{"token":"' + b"x" * (64 << 20) + b'"}'),
               "deep": Answer(200, body=b"[" * 100_000), "500": Answer(500), "401": Answer(401), "403": Answer(403),
               "a redirect": Answer(307, {"Location": "/again"}, b""),
               "closes": Answer(drop=True), "a negative life": Answer(200, body=b'{"token":"x","expires_in":-5}'), "empty": Answer(200, body=b'{"token":""}')}
    with Rows() as rows:
        for name, answer in answers.items():
            tokens = make_tokens(answer=answer)
            upstream = make_upstream(guard=Bearer(tokens))
            image = upstream.offers_image(tag="1")
            cache = make_cache(upstream, credentials=SECRETS, upstream={"realms": [f"{tokens.url}/token"]})
            before = cache.memory_bytes()
            started = time.monotonic()
            reply = cache.tag(image, "1")
            rows.check(reply.status >= 400, name, reply)
            rows.check(time.monotonic() - started < 20, f"{name}: time", time.monotonic() - started)
            rows.check(cache.memory_bytes() - before < 16 << 20, f"{name}: memory", cache.memory_bytes() - before)
            rows.check(not any("evil" in str(r.headers).lower() for r in upstream.seen()), f"{name}: smuggled", "")
            cache.stop()
            cache.expect_death = True


test_token_servers_that_answer_nonsense.limit_s = 200


def test_challenges_of_every_spelling(make_cache, make_upstream, make_tokens):
    tokens = make_tokens(username=USER, password=PASSWORD)
    url = f"{tokens.url}/token"
    scope = "repository:lab/app:pull"
    spellings = {"plain": f'Bearer realm="{url}",service="s",scope="{scope}"', "spaces": f'Bearer  realm = "{url}" ,  service="s" , scope="{scope}"',
                 "lower case": f'bearer realm="{url}",service="s",scope="{scope}"', "unquoted service": f'Bearer realm="{url}",service=s,scope="{scope}"',
                 "no service": f'Bearer realm="{url}",scope="{scope}"', "no scope": f'Bearer realm="{url}",service="s"',
                 "another scheme before": f'Basic realm="x", Bearer realm="{url}",service="s",scope="{scope}"',
                 "an error": f'Bearer realm="{url}",service="s",scope="{scope}",error="insufficient_scope"',
                 "a comma inside": f'Bearer realm="{url}",service="a,b",scope="repository:lab/app:pull,push"',
                 "an escape": f'Bearer realm="{url}",service="a\\"b",scope="{scope}"', "capitals": f'Bearer Realm="{url}",SERVICE="s",Scope="{scope}"',
                 "realm with a query": f'Bearer realm="{url}?account=x",service="s",scope="{scope}"'}
    with Rows() as rows:
        for name, challenge in spellings.items():
            upstream = make_upstream(guard=Bearer(tokens, challenge=challenge))
            image = upstream.offers_image(tag="1")
            cache = make_cache(upstream, credentials=SECRETS, upstream={"realms": [url]})
            reply = cache.tag(image, "1")
            rows.check(reply.digest() == image.manifest.digest, name, (reply, [r.target for r in tokens.seen()[-1:]]))
            cache.stop()
            cache.expect_death = True


test_challenges_of_every_spelling.limit_s = 200


def test_secrets_from_files_lose_one_line_end_and_nothing_else(make_cache, make_upstream):
    upstream = make_upstream(guard=Basic(USER, "with space "))
    blob = upstream.offers()
    cache = make_cache(upstream, credentials=(f"{USER}\n", "with space \n"))
    cache.secrets = []
    assert cache.get(blob).digest() == blob.digest


def test_a_secret_file_that_is_missing_does_not_become_an_empty_password(make_cache, make_upstream):
    upstream = make_upstream(guard=Basic(*SECRETS))
    blob = upstream.offers()
    cache = make_cache(upstream, credentials=SECRETS, start=False)
    os.unlink(f"{cache.directory}/password0")
    try:
        cache.start()
    except AssertionError:
        cache.expect_death = True
        assert "password0" in cache.log()
        return
    assert cache.get(blob).status >= 400
    assert not any(request.header("authorization") for request in upstream.seen())


def test_passwords_of_a_real_registry_change_while_it_is_in_use(make_cache, make_registry, directory):
    """Debian's docker-registry with htpasswd: the secondary takes over when the primary's password is changed, and gives back once the new one is known here."""
    old, new, other = "correct-horse-battery", "staple-horse-battery", "another-horse-battery"
    logins = Logins(f"{directory}/htpasswd", one=old, two=other)
    registry = make_registry(htpasswd=logins.path)
    cache = make_cache(registry, credentials=("one", old), tag_ttl="0s", rule={"pull": ["anonymous"]}, start=False)
    sets = cache.settings.credential_sets[0]
    sets["secondary_username"] = write_secret(f"{directory}/second-user", "two")
    sets["secondary_password"] = write_secret(f"{directory}/second-password", other)
    cache.secrets += [new, other]
    cache.start()

    def served():
        reply = cache.get(f"/v2/{registry.login_server}/library/busybox/manifests/latest", {"Accept": f"{MANIFEST}, {INDEX}"})
        return reply.status, reply.header("x-entrepot-cache")

    fresh = ((200, "fetch"), (200, "revalidated"))      # asked for now: the registry took a login
    with Rows() as rows:
        found = served()
        rows.check(found in fresh, "the primary", found)
        logins.become(registry, one=new, two=other)
        found = served()
        rows.check(found in fresh, "the primary's password was changed there", found)
        logins.become(registry, one=new)
        write_secret(sets["password"].removeprefix("file:"), new)
        found = served()
        rows.check(found in fresh, "and is known here, while the secondary is gone", found)
        logins.become(registry, three=new)
        found = served()
        rows.check(found not in fresh, "neither is taken", found)

"""docs/ERRORS.md: each case is produced, and the page says what the server says."""
import json

import os
import time

from harness.azure import Metadata, TokenService
from harness.command import entrepot, succeeds
from harness.page import Page
from harness.upstream import Answer, Bearer, with_challenge

HUB, MCR, QUAY = "docker.io", "mcr.microsoft.com", "quay.io"
RULE = {"name": "hub-rule", "source": f"{HUB}/*", "target": "hub/*"}
ALPINE = "/v2/hub/library/alpine/manifests/latest"


def rule(name, source, target, **more):
    return {"name": name, "sourceRepository": source, "targetRepository": target, **more}


def said(done):
    """What stands in the page's last column."""
    if done.status == 0:
        notes = [line.removeprefix("entrepot: note: ") for line in done.err.splitlines()]
        return "allowed" + "".join(f"; note: `{note}`" for note in notes)
    assert len(done.err.splitlines()) == 1, done.err
    return f"`{done.err.strip().removeprefix('entrepot: ')}`"


class Cases:
    """Each case begins with the rules that stand, and nothing else."""

    def __init__(self, cache):
        self.cache = cache

    def stands(self, *rules, sets=()):
        succeeds(self.cache, "apply", "-", "--prune", "-y", stdin=json.dumps({"cacheRules": list(rules), "credentialSets": list(sets)}))

    def create(self, source, target, *more, standing=(), sets=(), name="new-rule"):
        self.stands(*standing, sets=sets)
        return said(entrepot(self.cache, "cache", "create", "-n", name, "-s", source, "-t", target, *more))

    def runs(self, *words, **options):
        return said(entrepot(self.cache, *words, **options))


def credential_set(name, login_server):
    return {"name": name, "loginServer": login_server, "authCredentials": [{"usernameSecretIdentifier": "env:U", "passwordSecretIdentifier": "env:P"}]}


def overlaps(cases):
    everything = rule("old-rule", f"{MCR}/*", "*")
    return {"1": cases.create(f"{HUB}/library/*", "library/*", standing=[everything]),
            "2": cases.create(f"{HUB}/library/dotnet/*", "library/dotnet/*", standing=[rule("old-rule", f"{MCR}/library/*", "library/*")]),
            "3": cases.create(f"{HUB}/library/*", "*", standing=[everything]),
            "4": cases.create(f"{HUB}/library/dotnet", "library/dotnet", standing=[everything]),
            "5": cases.create(f"{QUAY}/team/a", "a", standing=[rule("old-rule", f"{MCR}/a", "a")]),
            "6": cases.create(f"{HUB}/library/python/*", "library/python/*", standing=[rule("old-rule", f"{MCR}/dotnet/*", "library/dotnet/*")]),
            "7": cases.create(f"{HUB}/library/*", "library/*", standing=[rule("old-rule", f"{MCR}/dotnet", "library/dotnet")]),
            "10": cases.create(f"{MCR}/dotnet/*", "second/*", standing=[rule("old-rule", f"{MCR}/dotnet/*", "first/*")]),
            "11": cases.create(f"{HUB}/library/*", "*", standing=[rule("old-rule", f"{MCR}/*", "a/*")])}


def names_and_credentials(cases):
    sets = [credential_set("hub-login", HUB)]
    found = {"13": cases.create(f"{HUB}/library/alpine", "alpine"),
             "14a": cases.create(f"{QUAY}/podman/hello:latest", "hello"),
             "14b": cases.create(f"{QUAY}/podman/hello", "Hello"),
             "15": cases.create("upstreamregistry.azurecr.io/myapp", "myapp", "--identity", "system", "--pull", "anonymous"),
             "16a": cases.create("registry.corp.example/team/*", "team/*"),
             "16b": cases.create("10.0.0.1:5000/team/*", "team/*"),
             "17": cases.create(f"{QUAY}/*", "quay/*", standing=[rule("old-rule", f"{MCR}/*", "mcr/*")], name="old-rule"),
             "18": cases.create(f"{QUAY}/*/hello", "hello/*"),
             "19": cases.create(f"{QUAY}/*", "quay"),
             "20": cases.create(f"{QUAY}/*", "quay/*", name="quay"),
             "21": cases.create(f"{HUB}/*", "hub/*", "-c", "hub-login"),
             "22": cases.create(f"{QUAY}/*", "quay/*", "-c", "hub-login", sets=sets)}
    cases.stands(rule("old-rule", f"{HUB}/*", "hub/*", credentialSet="hub-login", pull=["anonymous"]), sets=sets)
    found["23"] = cases.runs("credential-set", "delete", "-n", "hub-login", "-y")
    found["24"] = cases.runs("cache", "update", "-n", "old-rule")
    found["25"] = cases.runs("cache", "delete", "-n", "old-rule")
    found["26"] = cases.runs("cache", "show", "-n", "new-rule")
    found["27"] = cases.runs("credential-set", "update", "-n", "hub-login", "-p", "dckr_pat_0123456789")
    return found


def repositories_that_exist(cases, hub):
    """What was stored under another rule does not stand in the way of a new one."""
    image = hub.offers_image(repository="library/hello", tag="1")
    found = {}
    for key, source, target in (("8", f"{HUB}/library/hello", "hello"), ("9", f"{HUB}/library/*", "lib/*")):
        repository = target.replace("*", "hello")
        cases.stands(rule("old-rule", source, target))
        assert cases.cache.get(f"/v2/{repository}/manifests/1").digest() == image.manifest.digest
        found[key] = cases.create(source, target)
    return found


def test_the_page_says_what_refuses_a_rule(make_cache, make_upstream):
    hub = make_upstream(login_server=HUB)
    cases = Cases(make_cache(hub, rules=[], server={"default_rules": False}))
    cases.cache.secrets.append("dckr_pat_0123456789")
    found = {**overlaps(cases), **names_and_credentials(cases), **repositories_that_exist(cases, hub)}
    strict = Cases(make_cache(hub, rules=[], server={"default_rules": False, "strict_overlap": True, "docker_hub_anonymous": False, "rules_max": 2}))
    found["4s"] = strict.create(f"{QUAY}/library/dotnet", "library/dotnet", standing=[rule("old-rule", f"{MCR}/*", "*")])
    found["12"] = strict.create(f"{QUAY}/c", "c", standing=[rule("rule-1", f"{MCR}/a", "a"), rule("rule-2", f"{MCR}/b", "b")])
    found["13s"] = strict.create(f"{HUB}/library/alpine", "alpine")
    Page("ERRORS.md").fill(found)


def secret_files(directory, user, password):
    """References to them."""
    for name, text in (("user", user), ("password", password)):
        with open(f"{directory}/{name}", "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text)
    return ["-u", f"file:{directory}/user", "-p", f"file:{directory}/password"]


def test_the_page_says_what_a_check_of_a_login_finds(make_cache, make_upstream, make_tokens, directory):
    """Against a registry that sells tokens to one login, as Docker Hub does. It sends no rate limits, as to subscribers of Docker Hub."""
    tokens = make_tokens(username="corp-robot", password="correct-horse")
    hub = make_upstream(login_server=HUB, guard=Bearer(tokens))
    cache = make_cache(hub, rules=[], server={"default_rules": False}, upstream={"realms": [f"{tokens.url}/token"]})
    cache.secrets += ["correct-horse", "battery-staple"]
    found = {}
    for key, password in (("28", "battery-staple"), ("29", "correct-horse")):
        succeeds(cache, "credential-set", "create", "-n", "hub-login", "-l", HUB, *secret_files(directory, "corp-robot", password), "--replace")
        done = entrepot(cache, "credential-set", "check", "-n", "hub-login")
        health = done.rows()[1][4]
        assert health == succeeds(cache, "credential-set", "show", "-n", "hub-login").rows()[1][4]
        found[key] = named(f"{said(done)}; `show` says {health} from then on" if done.status else f"{health}", {hub: "registry-1.docker.io", tokens: "auth.docker.io"})
    from_file = make_cache(hub, rules=[RULE])
    found["30"] = said(entrepot(from_file, "cache", "update", "-n", "hub-rule", "--tag-ttl", "5m"))
    Page("ERRORS.md").fill(found)


def answered(reply):
    """Status, and the code and message of the error document."""
    if reply.status < 400:
        return f"{reply.status}"
    error = json.loads(reply.body)["errors"][0]
    return f"{reply.status} {error['code']} `{error['message']}`"


def named(text, origins):
    """With the names that these would have in the world."""
    for origin, name in origins.items():
        text = text.replace(f"http://127.0.0.1:{origin.port}", name if "://" in name else f"https://{name}")
    return text


def told(reply, hub):
    return named(answered(reply), {hub: "registry-1.docker.io"})


def test_the_page_says_what_refuses_a_pull(make_cache, make_upstream):
    found = {}
    for status in (403, 401, 429, 404):
        hub = make_upstream(login_server=HUB)
        cache = make_cache(hub, rules=[RULE])
        hub.always("any", Answer(status))
        found[str(status)] = told(cache.get(ALPINE), hub)
    hub = make_upstream(login_server=HUB)
    cache = make_cache(hub, rules=[RULE], server={"default_login_server": ""})
    found["none"] = told(cache.get("/v2/nobody/alpine/manifests/latest"), hub)
    found["push"] = told(cache.get("/v2/hub/library/alpine/blobs/uploads/", method="POST"), hub)
    unsaid = make_cache(hub, credentials=("user", "password"), rules=[{**RULE, "credential_set": "secrets0"}])
    found["unsaid"] = told(unsaid.get(ALPINE), hub)
    image = hub.offers_image(repository="library/alpine", tag="latest")
    hub.referrers = {}
    referrers = f"/v2/library/alpine/referrers/{image.manifest.digest}"
    hub.next(referrers, Answer(303, {"Location": f"{referrers}?elsewhere=1"}, b""))
    reply = cache.get(f"/v2/hub/library/alpine/referrers/{image.manifest.digest}")
    assert reply.status == 200 and json.loads(reply.body)["manifests"] == [], reply
    found["303"] = "200: it is followed"
    Page("ERRORS.md").fill(found)


class Guarded:
    """Wants a token of an Azure registry, and takes none: nobody here gets that far."""

    def __init__(self, service):
        self.service = service

    def refuses(self, request):
        return with_challenge(f'Bearer realm="{self.service.realm}",service="{self.service.login_server}"')


def test_the_page_says_what_refuses_an_identity(make_cache, make_upstream, story):
    """The machine has none; it has one, and that has no role at the registry."""
    found = {}
    for key, has_identity in (("identity", False), ("role", True)):
        metadata = story.origin(Metadata(has_identity))
        service = story.origin(TokenService(metadata, "upstreamregistry.azurecr.io", readable="another"))
        registry = make_upstream(login_server=service.login_server, guard=Guarded(service))
        cache = make_cache(registry, rules=[{"name": "app-rule", "source": f"{registry.login_server}/myapp", "target": "myapp", "identity": "system", "pull": ["anonymous"]}],
                           upstream={"realms": [service.realm]}, identity={"metadata": metadata.url, "arc_tokens": "/nonexistent", "registries": ["127.0.0.1"]})
        reply = cache.get("/v2/myapp/manifests/latest")
        found[key] = named(answered(reply), {registry: registry.login_server, service: registry.login_server, metadata: "http://169.254.169.254"})
    Page("ERRORS.md").fill(found)


def test_the_page_says_what_a_pull_meets(make_cache, make_upstream):
    hub = make_upstream(login_server=HUB)
    image = hub.offers_image(repository="library/alpine", tag="latest")
    cache = make_cache(hub, rules=[{**RULE, "tag_ttl": "5s"}, {**RULE, "name": "slow-rule", "target": "slow/*"}])
    found = {"first": where_from(cache.get(ALPINE), image), "served": where_from(until_stored(cache).get(ALPINE), image)}
    cache.get(ALPINE.replace("hub", "slow", 1))
    moved = hub.offers_image(repository="library/alpine", tag="latest", seed="moved")
    time.sleep(5.1)     # the rule's tag_ttl
    assert cache.get(ALPINE.replace("/hub/", "/slow/")).digest() == image.manifest.digest, "60 s are not over"
    found["moved"] = f"after `tag_ttl` (60 s): {where_from(cache.get(ALPINE), moved)}"

    succeeds(cache, "cache", "purge", "-n", "hub-rule", "-y")
    found["gone"] = where_from(cache.get(ALPINE), moved)
    succeeds(cache, "cache", "purge", "-n", "hub-rule", "-y")
    hub.stop()
    found["gone-down"] = told(cache.get(ALPINE), hub)
    assert not stored(cache, "hub/library/alpine:latest")
    found["undelete"] = "`cache purge` is for good; the next pull fetches it again, as above"
    Page("ERRORS.md").fill(found)


def test_the_page_says_what_room_is_made_of(make_cache, make_upstream):
    hub = make_upstream(login_server=HUB)
    cache = make_cache(hub, rules=[RULE], capacity="16MiB")
    for _ in range(24):
        blob = hub.offers(size="1MiB", repository="library/alpine")
        assert cache.get(blob.path.replace("/v2/", "/v2/hub/", 1)).digest() == blob.digest
    assert cache.metric("evictions_total") >= 8
    Page("ERRORS.md").fill({"unused": "goes by itself when its room is needed (`store.capacity`); no pull fails for want of room"})


def stored(cache, reference):
    return succeeds(cache, "cache", "explain", reference, "-o", "json").json()["stored"]["tag"]


def until_stored(cache, reference="hub/library/alpine:latest"):
    """The last bytes may leave before the last are kept."""
    end = time.monotonic() + 10
    while not stored(cache, reference):
        assert time.monotonic() < end, reference
    return cache


def where_from(reply, image):
    assert reply.digest() == image.manifest.digest, reply
    return f"200, `X-Entrepot-Cache: {reply.cache}`"

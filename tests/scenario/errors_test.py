"""docs/ERRORS.md: each case is produced, and the page says what the server says."""
import json

from harness.command import entrepot, succeeds
from harness.page import Page
from harness.upstream import Answer

HUB, MCR, QUAY = "docker.io", "mcr.microsoft.com", "quay.io"


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


def answered(reply):
    """Status, and the code and message of the error document."""
    if reply.status < 400:
        return f"{reply.status}"
    error = json.loads(reply.body)["errors"][0]
    return f"{reply.status} {error['code']} `{error['message']}`"


def test_the_page_says_what_refuses_a_pull(make_cache, make_upstream):
    found = {}
    for status in (403, 401, 429, 404):
        hub = make_upstream(login_server=HUB)
        cache = make_cache(hub, rules=[{"name": "hub", "source": f"{HUB}/*", "target": "hub/*"}])
        hub.always("any", Answer(status))
        found[str(status)] = told(cache.get("/v2/hub/library/alpine/manifests/latest"), hub)
    hub = make_upstream(login_server=HUB)
    cache = make_cache(hub, rules=[{"name": "hub", "source": f"{HUB}/*", "target": "hub/*"}], server={"default_login_server": ""})
    found["none"] = told(cache.get("/v2/nobody/alpine/manifests/latest"), hub)
    found["push"] = told(cache.get("/v2/hub/library/alpine/blobs/uploads/", method="POST"), hub)
    image = hub.offers_image(repository="library/alpine", tag="latest")
    hub.referrers = {}
    referrers = f"/v2/library/alpine/referrers/{image.manifest.digest}"
    hub.next(referrers, Answer(303, {"Location": f"{referrers}?elsewhere=1"}, b""))
    reply = cache.get(f"/v2/hub/library/alpine/referrers/{image.manifest.digest}")
    assert reply.status == 200 and json.loads(reply.body)["manifests"] == [], reply
    found["303"] = "200: it is followed"
    Page("ERRORS.md").fill(found)


def told(reply, hub):
    return answered(reply).replace(f"http://127.0.0.1:{hub.port}", "https://registry-1.docker.io")

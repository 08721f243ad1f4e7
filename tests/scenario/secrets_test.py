"""A secret is read where it is kept and goes to the login server it belongs to. It appears nowhere else: every place that anybody can look at is searched for it."""
import base64
import json
import os
import re
import signal
import subprocess

from harness.api import Api, Refused
from harness.cache import BINARY
from harness.upstream import Basic, Bearer

USERNAME, PASSWORD = "robot-account", "pAssw0rd-0123456789-never-shown"
WRONG = "pAssw0rd-that-is-refused-and-not-shown"


def spellings(secret):
    """As it is, and as an Authorization header carries it."""
    return [secret, *(base64.b64encode(f"{name}:{secret}".encode()).decode() for name in (USERNAME, "x"))]


def secret_file(cache, name, text):
    path = f"{cache.directory}/{name}"
    with open(path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(text)
    return f"file:{path}"


def everything_under(directory, but):
    for where, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(where, name)
            if os.path.isfile(path) and path not in but:
                with open(path, "rb") as file:
                    yield path, file.read()


def test_no_secret_appears_anywhere(make_cache, make_upstream):
    upstream = make_upstream(guard=Basic(USERNAME, PASSWORD))
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, server={"log_level": "debug"}, rules=[])
    api = Api(cache)
    pages = []

    def see(method, path, document=None, **headers):
        _, fields, answer = api.ask(method, f"/api/v1{path}", document, headers)
        pages.append((f"{method} {path}", json.dumps(answer).encode() + str(fields).encode()))

    user = secret_file(cache, "user", USERNAME)
    pair = {"usernameSecretIdentifier": user, "passwordSecretIdentifier": secret_file(cache, "right", PASSWORD)}
    wrong = {"usernameSecretIdentifier": user, "passwordSecretIdentifier": secret_file(cache, "wrong", WRONG)}
    create = {"If-None-Match": "*"}
    see("PUT", "/credential-sets/right-login", {"loginServer": upstream.login_server, "authCredentials": [pair]}, **create)
    see("PUT", "/credential-sets/wrong-login", {"loginServer": upstream.login_server, "authCredentials": [wrong]}, **create)
    # The usual mistake: the secret itself where its place belongs.
    for document in ({"authCredentials": [{**pair, "passwordSecretIdentifier": PASSWORD}]}, {"loginServer": PASSWORD}, {PASSWORD: "x"}):
        see("PATCH", "/credential-sets/right-login", document)
    for name, login in (("right", "right-login"), ("wrong", "wrong-login")):
        see("PUT", f"/cache-rules/{name}-rule", {"sourceRepository": f"{upstream.login_server}/*", "targetRepository": f"{name}/*", "credentialSet": login,
                                                 "pull": ["anonymous"]}, **create)
    assert cache.get(f"/v2/right/{image.manifest.repository}/manifests/1").status == 200
    for blob in image.blobs:
        assert cache.get(f"/v2/right/{image.manifest.repository}/blobs/{blob.digest}").status == 200
    refused = cache.get(f"/v2/wrong/{image.manifest.repository}/manifests/1")
    assert refused.status != 200
    pages.append(("the refused pull", str(refused.headers).encode() + bytes(refused.body)))
    for name in ("right", "wrong"):
        see("POST", f"/credential-sets/{name}-login/check")
        see("GET", f"/credential-sets/{name}-login")
        see("GET", f"/explain?reference={name}/{image.manifest.repository}:1")
    for path in ("/credential-sets", "/cache-rules", "/export", "/status", "/openapi.json"):
        see("GET", path)
    pages.append(("the metrics", cache.admin("/metrics")[1].encode() if isinstance(cache.admin("/metrics")[1], str) else cache.admin("/metrics")[1]))
    for words in (["credential-set", "show", "-n", "right-login"], ["credential-set", "list", "-o", "json"], ["export"], ["credential-set", "check", "-n", "wrong-login"]):
        done = subprocess.run([BINARY, *words], capture_output=True, check=False,
                              env={**os.environ, "ENTREPOT_ADMIN": f"127.0.0.1:{cache.admin_port}", "ENTREPOT_TOKEN_FILE": f"{cache.store}/admin.token"})
        pages.append((" ".join(words), done.stdout + done.stderr))
    pages.append(("the log", cache.log().encode()))
    with open(f"/proc/{cache.process.pid}/cmdline", "rb") as file:
        pages.append(("the arguments", file.read()))
    with open(f"/proc/{cache.process.pid}/environ", "rb") as file:
        pages.append(("the environment", file.read()))
    kept = {f"{cache.directory}/{name}" for name in ("user", "right", "wrong")}
    pages += everything_under(cache.directory, but=kept)
    assert len(pages) > 30 and any(PASSWORD[:8] not in str(page) for _, page in pages)
    found = [(where, secret) for where, page in pages for secret in spellings(PASSWORD) + spellings(WRONG) if secret.encode() in page]
    assert not found, found


def test_a_crash_leaves_no_core_file_and_strangers_cannot_look_inside(make_cache, upstream):
    cache = make_cache(upstream)
    with open(f"/proc/{cache.process.pid}/limits", encoding="ascii") as file:
        cores = next(line for line in file if line.startswith("Max core file size"))
    assert cores.split()[4:6] == ["0", "0"], cores
    # A process that may not be dumped belongs to root in /proc, whoever runs it, and only a tracer with the right to everything may look.
    assert os.stat(f"/proc/{cache.process.pid}/mem").st_uid == 0
    cache.expect_death = True
    os.kill(cache.process.pid, signal.SIGABRT)
    assert cache.process.wait(20) == -signal.SIGABRT
    assert not [name for name in os.listdir(cache.directory) if "core" in name]


def memory_that_a_dump_would_hold(pid):
    """The process's memory, but for the pages that it excludes from dumps (`dd`), as gcore takes it."""
    regions = []
    with open(f"/proc/{pid}/smaps", encoding="ascii") as file:
        for line in file:
            if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) (r\S*) .* 00:00 0 ", line):
                region = (int(found[1], 16), int(found[2], 16))
            elif re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                region = None
            elif line.startswith("VmFlags:") and region and " dd" not in line:
                regions.append(region)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for first, last in regions:
            try:
                yield os.pread(memory.fileno(), last - first, first)
            except OSError:         # the kernel's own pages, such as vvar
                continue


def test_a_dump_of_the_running_process_holds_no_secret_that_it_uses(make_cache, make_upstream, make_tokens):
    """Not while requests run, but ever after: what is kept lies in pages that are left out, and what was made for a request is overwritten. Of tokens, which
    live for minutes, the JSON parser may leave one behind in memory that it gave back."""
    tokens = make_tokens(username=USERNAME, password=PASSWORD)
    for guard, realms in ((Basic(USERNAME, PASSWORD), []), (Bearer(tokens), [f"{tokens.url}/token"])):
        upstream = make_upstream(guard=guard)
        cache = make_cache(upstream, credentials=(USERNAME, PASSWORD), upstream={"realms": realms})
        for number in range(10):
            image = upstream.offers_image(tag=str(number), seed=str(number), repository=f"lab/app{number % 3}")
            assert cache.tag(image, str(number)).digest() == image.manifest.digest
            for blob in image.blobs:
                assert cache.get(blob).digest() == blob.digest
        assert len(tokens.given) >= 3 or not realms
        looked_at, found, left = 0, [], set()
        for piece in memory_that_a_dump_would_hold(cache.process.pid):
            looked_at += len(piece)
            found += [secret for secret in spellings(PASSWORD) if secret.encode() in piece]
            left |= {token for token in tokens.given if token.encode() in piece}
        assert looked_at > 10 << 20 and not found, (looked_at, found)
        assert len(left) <= 1, left


def test_a_refused_reference_is_never_repeated(make_cache, upstream):
    api = Api(make_cache(upstream))
    for text in (PASSWORD, f"file:{PASSWORD}", f"pass:{PASSWORD}", f"https://x/{PASSWORD}"):
        try:
            api.create("credential-sets", "some-login", {"loginServer": "quay.io", "authCredentials": [
                {"usernameSecretIdentifier": "env:A", "passwordSecretIdentifier": text}]})
            raise AssertionError(f"{text} was taken")
        except Refused as refused:
            assert PASSWORD not in refused.message and "passwordSecretIdentifier" in refused.message, refused.message

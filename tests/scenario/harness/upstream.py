"""A scripted registry: it offers blobs, manifests and tags, misbehaves on request, and counts what it is asked for."""
import base64
import dataclasses
import hashlib
import json
import re
import threading
import time
import urllib.parse

from .origin import Answer, Origin

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 1000, "MB": 10 ** 6, "GB": 10 ** 9}


def size_of(text):
    """'10MiB' -> 10485760; numbers pass through."""
    if text is None or isinstance(text, (int, float)):
        return text
    number, unit = re.fullmatch(r"([0-9.]+)\s*([A-Za-z]*)", text).groups()
    return int(float(number) * UNITS[unit])


def content_of(size, seed):
    """Bytes that do not compress and differ by seed."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


def digest_of(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


@dataclasses.dataclass(eq=False)
class Offer:
    """Something the upstream holds by digest: a blob, or a manifest with its tags."""
    kind: str                   # "blobs" or "manifests"
    repository: str
    data: bytes
    digest: str
    media_type: str
    gate: threading.Event
    answer: Answer              # how it is served when no script says otherwise
    ranges: bool = True

    @property
    def size(self):
        return len(self.data)

    @property
    def path(self):
        return self.by(self.digest)

    def by(self, reference):
        return f"/v2/{self.repository}/{self.kind}/{reference}"

    def release(self):
        """Lets held bytes go; also for every later answer."""
        self.gate.set()


@dataclasses.dataclass
class Image:
    manifest: Offer
    config: Offer
    layers: list
    tag: str

    @property
    def blobs(self):
        return [self.config, *self.layers]

    @property
    def parts(self):
        return [self.manifest, *self.blobs]


class Upstream(Origin):
    def __init__(self, login_server="upstream.test", guard=None, **origin):
        super().__init__(**origin)
        self.login_server = login_server
        self.guard = guard              # Basic or Bearer: who may read
        self.offered = {}               # path -> Offer
        self.tags = {}                  # repository -> {tag: Offer}
        self.scripts = {}               # path or kind -> [Answer, ...], consumed in order
        self.habits = {}                # path or kind -> Answer, as long as it stands
        self.referrers = None           # None: no referrers API, as docker-registry; else digest -> [descriptor]
        self.serial = 0

    # ---- what it holds

    def offers(self, size="64KiB", repository="lab/app", seed=None, data=None, algorithm="sha256", ranges=True, **behaviour):
        """A blob. `behaviour` is how it is always served: hold_after, rate, chunked, ... (see Answer)."""
        self.serial += 1
        data = content_of(size_of(size), seed or f"{self.login_server} {self.serial}") if data is None else data
        return self._hold("blobs", repository, data, digest_of(data, algorithm), "application/octet-stream", ranges, behaviour)

    def offers_manifest(self, document, repository="lab/app", tag=None, media_type=MANIFEST, **behaviour):
        """A manifest: a dictionary, or bytes that are served exactly so."""
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        offer = self._hold("manifests", repository, data, digest_of(data), media_type, False, behaviour)
        if tag:
            self.tag(offer, tag)
        return offer

    def offers_image(self, layers=("64KiB",), repository="lab/app", tag="1", seed=None):
        blobs = [self.offers(size, repository, seed and f"{seed} {number}") for number, size in enumerate(layers)]
        config_data = json.dumps({"architecture": "amd64", "os": "linux", "seed": str(seed or self.serial),
                                  "rootfs": {"type": "layers", "diff_ids": []}}).encode()
        config = self.offers(repository=repository, data=config_data)
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(config, CONFIG),
                    "layers": [descriptor(blob, LAYER) for blob in blobs]}
        return Image(self.offers_manifest(document, repository, tag), config, blobs, tag)

    def tag(self, manifest, tag):
        self.tags.setdefault(manifest.repository, {})[tag] = manifest

    def _hold(self, kind, repository, data, digest, media_type, ranges, behaviour):
        gate = threading.Event()
        for name in ("hold_after", "cut_after", "rate"):
            if name in behaviour:
                behaviour[name] = size_of(behaviour[name])
        offer = Offer(kind, repository, data, digest, media_type, gate, Answer(**behaviour, gate=gate), ranges)
        self.offered[offer.path] = offer
        return offer

    # ---- what it is told to do

    def next(self, where, *answers):
        """Scripts the next answers. `where`: an offer, a path, or a kind ("blob", "manifest_head", ...)."""
        self.scripts.setdefault(key_of(where), []).extend(answers)
        return self

    def always(self, where, answer):
        """Every answer from now on; None returns to normal."""
        if answer is None:
            self.habits.pop(key_of(where), None)
        else:
            self.habits[key_of(where)] = answer
        return self

    # ---- what it was asked

    def gets(self, offer):
        """How often the content was asked for, in whole or in part."""
        return len(self.seen(lambda r: r.method == "GET" and r.path == offer.path))

    def asked(self, kind=None, method=None, path=None):
        return self.seen(lambda r: (kind is None or kind_of(r) == kind) and (method is None or r.method == method)
                         and (path is None or r.path == path))

    def until_requested(self, offer, times=1, timeout=10):
        def often_enough():
            return sum(1 for r in self.requests_seen if r.method == "GET" and r.path == offer.path) >= times
        self.until(often_enough, timeout, f"{times} GET of {offer.path}")
        return offer

    # ---- how it answers

    def respond(self, request):
        refusal = self.guard and self.guard.refuses(request)
        if refusal:
            return refusal
        usual = self._usual(request)
        for key in (request.path, kind_of(request), "any"):
            queue = self.scripts.get(key)
            if queue:
                return completed(queue.pop(0), usual)
            if key in self.habits:
                return completed(self.habits[key], usual)
        return usual

    def _usual(self, request):
        if request.path in ("/v2/", "/v2"):
            return Answer(200, {"Docker-Distribution-Api-Version": "registry/2.0", "Content-Type": "application/json"}, b"{}")
        parts = re.fullmatch(r"/v2/(.+)/(manifests|blobs|tags|referrers)/(.+)", request.path)
        if not parts or request.method not in ("GET", "HEAD"):
            return problem(404, "NAME_UNKNOWN")
        repository, noun, reference = parts.groups()
        if noun == "tags":
            return self._tags(repository, request)
        if noun == "referrers":
            return self._referrers(reference, request)
        offer = self.offered.get(request.path)
        if noun == "manifests" and not offer:
            offer = self.tags.get(repository, {}).get(reference)
        if not offer:
            return problem(404, "MANIFEST_UNKNOWN" if noun == "manifests" else "BLOB_UNKNOWN")
        return self._serve_offer(offer, request)

    def _serve_offer(self, offer, request):
        headers = {"Content-Type": offer.media_type, "Docker-Content-Digest": offer.digest, "ETag": f'"{offer.digest}"'}
        if offer.ranges:
            headers["Accept-Ranges"] = "bytes"
        answer = dataclasses.replace(offer.answer, headers={**headers, **offer.answer.headers}, body=offer.data)
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", request.header("range", ""))
        if part and offer.ranges and offer.kind == "blobs":
            first = int(part[1])
            last = min(int(part[2]) if part[2] else offer.size - 1, offer.size - 1)
            if first >= offer.size:
                return Answer(416, {"Content-Range": f"bytes */{offer.size}"}, b"")
            answer.status, answer.body = 206, offer.data[first:last + 1]
            answer.headers["Content-Range"] = f"bytes {first}-{last}/{offer.size}"
            # Positions in `behaviour` are positions in the blob, wherever the answer starts.
            for name in ("hold_after", "cut_after"):
                position = getattr(answer, name)
                if position is not None:
                    setattr(answer, name, position - first if position >= first else None)
        return answer

    def _tags(self, repository, request):
        if repository not in self.tags:
            return problem(404, "NAME_UNKNOWN")
        names = sorted(self.tags[repository])
        query = dict(urllib.parse.parse_qsl(request.query))
        if "last" in query:
            names = [name for name in names if name > query["last"]]
        headers = {"Content-Type": "application/json"}
        if "n" in query and len(names) > int(query["n"]):
            names = names[:int(query["n"])]
            if names:
                headers["Link"] = f'</v2/{repository}/tags/list?n={query["n"]}&last={names[-1]}>; rel="next"'
        return Answer(200, headers, json.dumps({"name": repository, "tags": names}).encode())

    def _referrers(self, digest, request):
        if self.referrers is None:
            return Answer(404, {"Content-Type": "text/plain"}, b"404 page not found\n")
        entries = self.referrers.get(digest, [])
        return Answer(200, {"Content-Type": INDEX}, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode())


def key_of(where):
    return where.path if isinstance(where, Offer) else where


def completed(answer, usual):
    """A scripted answer keeps what it does not mention: the usual headers and body belong to a scripted 200 or 206."""
    if answer.body is None and answer.status in (200, 206):
        return dataclasses.replace(answer, status=usual.status, body=usual.body, headers={**usual.headers, **answer.headers})
    if answer.body is None and answer.status >= 400:
        return dataclasses.replace(problem(answer.status, "SCRIPTED"), headers={"Content-Type": "application/json", **answer.headers},
                                   delay=answer.delay)
    return dataclasses.replace(answer)


def problem(status, code):
    body = json.dumps({"errors": [{"code": code, "message": f"scripted {status}", "detail": None}]}).encode()
    return Answer(status, {"Content-Type": "application/json"}, body)


def descriptor(offer, media_type=None, **more):
    return {"mediaType": media_type or offer.media_type, "digest": offer.digest, "size": offer.size, **more}


def kind_of(request):
    path = request.path
    if "/blobs/" in path:
        return "blob"
    if "/manifests/" in path:
        return "manifest_head" if request.method == "HEAD" else "manifest_get"
    if path.endswith("/tags/list"):
        return "tags"
    if "/referrers/" in path:
        return "referrers"
    return "base" if path in ("/v2/", "/v2") else "token" if "token" in path else "other"


# ---- authentication

class Basic:
    def __init__(self, username, password):
        self.expected = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()

    def refuses(self, request):
        if request.header("authorization") == self.expected:
            return None
        return with_challenge('Basic realm="lab"')


class Bearer:
    """Asks for tokens of `tokens`, a TokenServer, unless another realm or a whole challenge is scripted."""

    def __init__(self, tokens, realm=None, challenge=None, service="registry.lab"):
        self.tokens = tokens
        self.realm = realm or (f"{tokens.url}/token" if tokens else None)
        self.challenge = challenge
        self.service = service

    def refuses(self, request):
        kind, _, token = (request.header("authorization") or "").partition(" ")
        if kind == "Bearer" and self.tokens and self.tokens.honours(token, request):
            return None
        repository = re.match(r"/v2/(.+)/(manifests|blobs|tags|referrers)/", request.path)
        scope = f',scope="repository:{repository[1]}:pull"' if repository else ""
        return with_challenge(self.challenge or f'Bearer realm="{self.realm}",service="{self.service}"{scope}')


def with_challenge(challenge):
    answer = problem(401, "UNAUTHORIZED")
    answer.headers["WWW-Authenticate"] = challenge
    return answer


class TokenServer(Origin):
    """Gives out opaque tokens for a scope, with or without credentials, and honours them for `life` seconds."""

    def __init__(self, username=None, password=None, life=300, answer=None, **origin):
        super().__init__(**origin)
        self.basic = Basic(username, password) if username else None
        self.life = life
        self.answer = answer            # a scripted answer instead of a token
        self.given = {}                 # token -> (scopes, given at)

    def respond(self, request):
        if self.answer:
            return dataclasses.replace(self.answer)
        if self.basic and self.basic.refuses(request):
            return problem(401, "UNAUTHORIZED")
        scopes = urllib.parse.parse_qs(request.query).get("scope", [])
        token = hashlib.sha256(f"{self.port} {len(self.given)}".encode()).hexdigest()
        self.given[token] = (scopes, time.monotonic())
        body = json.dumps({"token": token, "expires_in": self.life, "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
        return Answer(200, {"Content-Type": "application/json"}, body.encode())

    def honours(self, token, request):
        if token not in self.given:
            return False
        scopes, given_at = self.given[token]
        repository = re.match(r"/v2/(.+)/(manifests|blobs|tags|referrers)/", request.path)
        return time.monotonic() - given_at < self.life and (not repository or any(f"repository:{repository[1]}:" in scope for scope in scopes))

"""The fifteen rules that real pull clients impose on a registry, each as seen on the wire of docker, containerd, podman and skopeo."""
import random
import socket
import ssl
import statistics
import time

from harness.origin import Answer
from harness.story import Rows
from harness.upstream import Bearer

ACCEPT_TYPES = ["application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json",
                "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"]
OLD_TYPES = ["application/vnd.docker.distribution.manifest.v1+prettyjws", "application/vnd.docker.distribution.manifest.v1+json"]


def client_hello():
    """The first flight of a real TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def test_rule_01_a_tls_hello_on_the_plain_port_is_answered_at_once(cache):
    started = time.monotonic()
    answer = cache.raw(client_hello(), timeout=5)
    assert time.monotonic() - started < 2, "skopeo, podman and docker wait ten seconds for this, each time"
    assert not answer or answer.startswith(b"HTTP/1."), answer[:80]
    assert cache.get("/v2/").status == 200


def test_rule_02_the_base_is_answered_without_asking_upstream(cache, upstream):
    reply = cache.get("/v2/")
    assert reply.status == 200 and reply.header("docker-distribution-api-version") == "registry/2.0"
    assert reply.length is not None
    assert not upstream.seen(), "an upstream that is slow or down would otherwise break every login and ping"


def test_rule_03_tls_works_without_alpn_and_never_chooses_h2(make_cache, upstream, certificates):
    chain, key = certificates.server()
    cache = make_cache(upstream, tls={"certificate": chain, "private_key": key}, client_tls=certificates.client_context())
    assert cache.get("/v2/").status == 200

    asking = certificates.client_context()
    asking.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(cache.address) as plain, asking.wrap_socket(plain, server_hostname="localhost") as connection:
        assert connection.selected_alpn_protocol() in (None, "http/1.1")
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"

    started = time.monotonic()
    for _ in range(44):         # a docker pull of 40 layers: every request a full handshake
        assert cache.get("/v2/").status == 200
    assert time.monotonic() - started < 10


def test_rule_04_accept_comes_in_many_forms_and_orders_but_is_one_manifest(cache, upstream):
    image = upstream.offers_image(tag="1")
    shuffled = random.Random(4)
    forms = [{"Accept": ", ".join(ACCEPT_TYPES) + ", */*"}, {"Accept": ",".join(ACCEPT_TYPES)}, {"Accept": list(ACCEPT_TYPES + OLD_TYPES)}]
    forms += [{"Accept": shuffled.sample(ACCEPT_TYPES + OLD_TYPES, 6)} for _ in range(10)]
    with Rows() as rows:
        for form in forms:
            reply = cache.get(cache.path_of("/v2/lab/app/manifests/1"), form)
            rows.check(reply.status == 200 and reply.digest() == image.manifest.digest, form, reply)
    assert len(upstream.asked("manifest_get")) == 1, "the order of Accept lines must not be part of a key"
    for media_types in (f"{image.manifest.media_type}, */*", image.manifest.media_type):
        assert cache.get(image.manifest, {"Accept": media_types}).digest() == image.manifest.digest
    asked = upstream.asked("manifest_get")[0].header("accept")
    assert all(media_type in asked for media_type in ACCEPT_TYPES), f"registries answer 404 to a short list; sent: {asked}"


def test_rule_05_no_content_encoding_whatever_the_client_accepts(cache, upstream):
    image = upstream.offers_image(layers=["100KiB"])
    with Rows() as rows:
        for encoding in ("gzip", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5", "*"):
            for part in image.parts:
                reply = cache.get(part, {"Accept-Encoding": encoding})
                fits = reply.digest() == part.digest and reply.length == part.size and reply.header("content-encoding") is None
                rows.check(fits, f"{encoding} {part.kind}", reply)
    assert all(request.header("accept-encoding", "identity") == "identity" for request in upstream.seen())


def test_rule_06_head_of_a_tag_says_digest_type_and_length(cache, upstream):
    image = upstream.offers_image(tag="1")
    head = cache.tag(image, "1", method="HEAD")
    assert head.status == 200 and head.header("docker-content-digest") == image.manifest.digest
    assert head.length == image.manifest.size and head.header("content-type") == image.manifest.media_type
    assert cache.get(image.manifest).digest() == head.header("docker-content-digest")
    before = len(upstream.seen())
    for _ in range(5):          # a repull of an unchanged tag
        again = cache.tag(image, "1", method="HEAD")
        assert again.status == 200 and again.header("docker-content-digest") == image.manifest.digest
    assert len(upstream.seen()) == before, "a fresh tag is answered from the ledger"


def test_rule_07_ns_prefix_and_root_styles_reach_the_same_image(make_cache, make_upstream):
    upstream = make_upstream(login_server="upstream.test:5000")
    image = upstream.offers_image(repository="library/busybox", tag="1.35")
    cache = make_cache(upstream, rule={"target": "cachens/*"})
    types = {"Accept": ", ".join(ACCEPT_TYPES)}
    styles = {"containerd mirror": "/v2/library/busybox/{}?ns=upstream.test%3A5000",
              "containerd mirror with override_path": "/v2/cachens/library/busybox/{}?ns=upstream.test%3A5000",
              "docker registry-mirrors": "/v2/library/busybox/{}", "podman mirror with a prefix": "/v2/cachens/library/busybox/{}"}
    with Rows() as rows:
        for style, pattern in styles.items():
            for noun, offer in (("manifests/1.35", image.manifest), (f"blobs/{image.layers[0].digest}", image.layers[0])):
                reply = cache.get(pattern.format(noun), {**types, "X-Lab-Test": "hello"})
                rows.check(reply.status == 200 and reply.digest() == offer.digest, f"{style} {noun}", reply)
                if "ns=" in pattern:
                    rows.check(reply.header("oci-namespace") == "upstream.test:5000", f"{style} OCI-Namespace", reply.header("oci-namespace"))
    assert upstream.gets(image.layers[0]) == 1


def test_rule_08_an_open_range_resumes_a_cold_and_a_hot_blob(cache, upstream):
    blob = upstream.offers("4MiB", hold_after="3MiB")
    first = cache.pull(blob, leave_after=1 << 20).wait()
    resumed = cache.pull(blob, {"Range": f"bytes={first.received}-"})
    head = resumed.until_head()
    assert head.status == 206, "the fetch is still running: the range follows it"
    assert head.header("content-range") == f"bytes {first.received}-{blob.size - 1}/{blob.size}"
    blob.release()
    assert resumed.complete and resumed.reply.body == blob.data[first.received:]
    hot = cache.get(blob, {"Range": "bytes=1000000-"})
    assert hot.status == 206 and hot.body == blob.data[1000000:]
    assert upstream.gets(blob) == 1


def test_rule_09_a_fill_survives_the_client_that_started_it(cache, upstream):
    blob = upstream.offers("8MiB", hold_after="2MiB")
    cache.pull(blob, leave_after=1 << 20).wait()
    time.sleep(0.2)
    blob.release()
    assert cache.pull(blob).digest() == blob.digest
    assert upstream.gets(blob) == 1


def test_rule_10_one_failure_upstream_never_becomes_a_5xx_for_the_client(cache, upstream):
    with Rows() as rows:
        for status in (500, 502, 503):
            blob = upstream.offers("200KiB")
            upstream.next(blob, Answer(status))
            reply = cache.get(blob)
            rows.check(reply.digest() == blob.digest, f"{status} once on a blob", reply)
    broken = upstream.offers("4MiB", cut_after="1MiB", ranges=False)
    pull = cache.pull(broken).wait(90)
    assert pull.reply is None or pull.reply.status != 200 or not pull.reply.complete
    if pull.reply is not None and pull.received:
        assert pull.reply.status == 200, "once bytes came, the only honest end is an aborted connection: clients resume that"


def test_rule_11_a_corrupt_blob_is_an_aborted_connection(cache, upstream):
    blob = upstream.offers("1MiB", corrupt_at=1000)
    pull = cache.pull(blob).wait()
    assert not pull.complete, "clients verify, fail and do not retry a complete lie"


def test_rule_12_one_token_for_a_whole_pull_with_the_scope_of_the_repository(make_cache, make_upstream, make_tokens):
    tokens = make_tokens(username="lab", password="correct horse")
    upstream = make_upstream(guard=Bearer(tokens))
    image = upstream.offers_image(layers=["64KiB"] * 6, tag="1")
    cache = make_cache(upstream, credentials=("lab", "correct horse"), upstream={"realms": [f"{tokens.url}/token"]})
    assert cache.tag(image, "1", method="HEAD").status == 200
    pulls = [cache.pull(part) for part in image.parts]
    assert all(pull.digest() == part.digest for pull, part in zip(pulls, image.parts))
    asked = tokens.seen()
    assert len(asked) == 1, [request.target for request in asked]
    assert "repository%3Alab%2Fapp%3Apull" in asked[0].target or "repository:lab/app:pull" in asked[0].target


def test_rule_13_a_blob_redirect_is_followed_without_credentials(make_cache, make_upstream, make_tokens, make_trap):
    tokens = make_tokens(username="lab", password="correct horse")
    upstream = make_upstream(guard=Bearer(tokens))
    cache = make_cache(upstream, credentials=("lab", "correct horse"), upstream={"realms": [f"{tokens.url}/token"]})
    with Rows() as rows:
        for status in (301, 302, 303, 307, 308):
            blob = upstream.offers("100KiB")
            elsewhere = make_trap(answer=Answer(200, {"Content-Type": "application/octet-stream"}, blob.data))
            upstream.next(blob, Answer(status, {"Location": f"{elsewhere.url}/store/object?signature=x"}, b""))
            reply = cache.get(blob)
            rows.check(reply.digest() == blob.digest, status, reply)
            rows.check(len(elsewhere.seen()) == 1, f"{status} asked once", elsewhere.seen())


def test_rule_14_no_client_header_travels_upstream(cache, upstream):
    image = upstream.offers_image(tag="1")
    odd = {"Docker-Distribution-Api-Version": "registry/2.0", "Traceparent": "00-6d532e324ff79829a94da439f099ecf8-01fe14a828292f50-01",
           "User-Agent": "docker/20.10.24 go/go1.19 UpstreamClient(Docker-Client/20.10 \\(linux\\))", "Authorization": "Basic bGFiOmxhYg==",
           "Cookie": "a=b", "X-Forwarded-For": "1.2.3.4", "X-Odd": "odd value", "Referer": "http://odd.test/"}
    assert cache.tag(image, "1", odd).status == 200
    assert cache.get(image.layers[0], odd).digest() == image.layers[0].digest
    for request in upstream.seen():
        text = str(request.headers).lower()
        assert not any(word in text for word in ("traceparent", "upstreamclient", "bgfiomxhyg", "cookie", "1.2.3.4", "odd")), request.headers


def test_rule_15_small_replies_on_a_kept_connection_never_wait_for_an_ack(cache, upstream):
    image = upstream.offers_image(layers=["1KiB"])
    took = []
    with cache.connect() as connection:
        for turn in range(40):
            part = image.parts[turn % len(image.parts)]
            started = time.monotonic()
            assert connection.exchange("GET", cache.path_of(part)).digest() == part.digest
            took.append(time.monotonic() - started)
    assert statistics.median(took[10:]) < 0.02, "40 ms is the mark of head and body in two segments without TCP_NODELAY"


test_rule_15_small_replies_on_a_kept_connection_never_wait_for_an_ack.alone = True

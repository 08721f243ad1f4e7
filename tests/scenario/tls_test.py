"""TLS on both sides: certificates upstream are always verified, and our own listener serves as the plain one does."""
import socket
import ssl
import time

from harness.origin import Answer
from harness.story import Rows
from harness.upstream import Basic


def secured(make_upstream, context):
    return make_upstream(tls=context, host="localhost")


def test_an_upstream_with_a_private_authority(make_cache, make_upstream, certificates):
    upstream = secured(make_upstream, certificates.server_context())
    image = upstream.offers_image(layers=["3MiB", "10KiB"], tag="1")
    cache = make_cache(upstream, upstream={"ca_file": certificates.authority})
    assert cache.tag(image, "1").digest() == image.manifest.digest
    for part in image.parts:
        assert cache.get(part).digest() == part.digest and upstream.gets(part) <= 1


def test_certificates_that_prove_nothing_are_refused_with_the_reason(make_cache, make_upstream, certificates):
    weak = {"unknown authority": ({"name": "unknown", "authority": certificates.stranger}, ("trust", "authority", "ca", "issuer", "not signed", "verif")),
            "wrong name": ({"name": "wrong", "names": ("DNS:other.test",)}, ("name", "cn", "host")),
            "a wildcard two levels up": ({"name": "wild", "names": ("DNS:*.test",)}, ("name", "cn", "host")),
            "expired": ({"name": "old", "period": ("20200101000000Z", "20200201000000Z")}, ("expired", "valid")),
            "not yet valid": ({"name": "young", "period": ("20900101000000Z", "20910101000000Z")}, ("valid", "future"))}
    with Rows() as rows:
        for name, (certificate, words) in weak.items():
            upstream = secured(make_upstream, certificates.server_context(**certificate))
            blob = upstream.offers()
            cache = make_cache(upstream, upstream={"ca_file": certificates.authority})
            reply = cache.get(blob)
            rows.check(reply.status in (502, 503), f"E19 {name}", reply)
            rows.check(any(word in reply.body.decode().lower() for word in words), f"E19 {name}: the error names the reason", reply.body)
            rows.check(not upstream.seen(), f"E19 {name}: no request was sent", upstream.seen())


def test_a_self_signed_certificate_is_not_its_own_proof(make_cache, make_upstream, certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.stranger, certificates.stranger.replace(".crt", ".key"))
    upstream = secured(make_upstream, context)
    blob = upstream.offers()
    assert make_cache(upstream, upstream={"ca_file": certificates.authority}).get(blob).status in (502, 503)


def test_without_a_ca_file_the_private_authority_is_unknown(make_cache, make_upstream, certificates):
    upstream = secured(make_upstream, certificates.server_context())
    blob = upstream.offers()
    assert make_cache(upstream).get(blob).status in (502, 503)


def test_old_protocols_upstream_are_refused(make_cache, make_upstream, certificates):
    context = certificates.server_context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    upstream = secured(make_upstream, context)
    blob = upstream.offers()
    cache = make_cache(upstream, upstream={"ca_file": certificates.authority})
    assert cache.get(blob).status in (502, 503) and not upstream.seen(), "E21"


def test_a_cut_without_close_notify_is_a_truncation(make_cache, make_upstream, certificates):
    upstream = secured(make_upstream, certificates.server_context())
    cache = make_cache(upstream, upstream={"ca_file": certificates.authority})
    with Rows() as rows:
        for name, behaviour in (("with a length", {}), ("chunked", {"chunked": True}), ("until close", {"unframed": True})):
            blob = upstream.offers("1MiB", ranges=False, cut_after="300KiB", **behaviour)
            pull = cache.pull(blob).wait(90)
            rows.check(not pull.complete and cache.blob_file(blob) is None, f"E21 {name}", pull.reply)


def test_a_cut_over_tls_is_resumed(make_cache, make_upstream, certificates):
    upstream = secured(make_upstream, certificates.server_context())
    cache = make_cache(upstream, upstream={"ca_file": certificates.authority})
    blob = upstream.offers("4MiB")
    upstream.next(blob, Answer(cut_after=2 << 20))
    assert cache.pull(blob).digest() == blob.digest


def test_a_tls_upstream_that_speaks_plain_and_the_other_way_round(make_cache, make_upstream, certificates):
    plain = make_upstream(host="localhost")
    blob = plain.offers()
    cache = make_cache(plain, upstream={"endpoints": [plain.url.replace("http:", "https:")], "ca_file": certificates.authority})
    assert cache.get(blob, timeout=60).status in (502, 503, 504)
    upstream = secured(make_upstream, certificates.server_context())
    other = upstream.offers()
    cache = make_cache(upstream, upstream={"endpoints": [upstream.url.replace("https:", "http:")]})
    assert cache.get(other).status in (502, 503)


def test_credentials_never_travel_in_the_clear_to_a_tls_upstreams_namesake(make_cache, make_upstream, certificates, make_trap):
    upstream = secured(make_upstream, certificates.server_context())
    upstream.guard = Basic("lab", "correct-horse")
    blob = upstream.offers()
    trap = make_trap(host="localhost")
    upstream.next(blob, Answer(307, {"Location": f"http://localhost:{trap.port}/x"}, b""))
    cache = make_cache(upstream, credentials=("lab", "correct-horse"), upstream={"ca_file": certificates.authority})
    cache.get(blob)
    blob = upstream.offers()
    assert cache.get(blob).digest() == blob.digest


def listener(make_cache, upstream, certificates, **words):
    chain, key = certificates.server()
    return make_cache(upstream, tls={"certificate": chain, "private_key": key}, client_tls=certificates.client_context(), **words)


def test_our_listener_serves_whole_images_over_tls(make_cache, upstream, certificates):
    image = upstream.offers_image(layers=["8MiB", "100KiB"], tag="1")
    cache = listener(make_cache, upstream, certificates)
    for _ in range(2):
        assert cache.tag(image, "1").digest() == image.manifest.digest
        for part in image.parts:
            assert cache.get(part).digest() == part.digest
    part = cache.get(image.layers[0], {"Range": "bytes=1000000-1999999"})
    assert part.status == 206 and part.body == image.layers[0].data[1000000:2000000]


def test_followers_over_tls_share_one_fetch(make_cache, upstream, certificates):
    blob = upstream.offers("4MiB", hold_after="1MiB")
    cache = listener(make_cache, upstream, certificates)
    pulls = [cache.pull(blob) for _ in range(20)]
    for pull in pulls:
        pull.until_received(512 << 10)
    blob.release()
    assert {pull.digest() for pull in pulls} == {blob.digest} and upstream.gets(blob) == 1


def test_a_corrupt_blob_over_tls_is_never_complete(make_cache, upstream, certificates):
    blob = upstream.offers("2MiB", corrupt_at=-1)
    cache = listener(make_cache, upstream, certificates)
    assert not cache.pull(blob).complete


def test_kept_connections_over_tls(make_cache, upstream, certificates):
    blob = upstream.offers("3KiB")
    cache = listener(make_cache, upstream, certificates)
    with cache.connect() as connection:
        for _ in range(100):
            assert connection.exchange("GET", cache.path_of(blob)).digest() == blob.digest


def test_peers_that_do_not_speak_tls_are_let_go(make_cache, upstream, certificates):
    cache = listener(make_cache, upstream, certificates)
    with Rows() as rows:
        for name, data in (("plain HTTP", b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"), ("nonsense", b"\x00" * 100), ("half a hello", b"\x16\x03\x01\x02\x00\x01"),
                           ("a hello of 64 KiB", b"\x16\x03\x01\xff\xff" + b"x" * 65535), ("an old hello", b"\x80\x2e\x01\x00\x02\x00")):
            started = time.monotonic()
            with socket.create_connection(cache.address, timeout=20) as plain:
                try:
                    plain.sendall(data)
                    answer = b""
                    while piece := plain.recv(4096):
                        answer += piece
                except ConnectionError:
                    answer = b""
                except TimeoutError:
                    rows.check(False, f"A22 {name}", "stays open")
                    continue
            rows.check(not answer or answer[0] == 0x15 or answer.startswith(b"HTTP/1.1 400"), f"A22 {name}", answer[:60])
            rows.check(time.monotonic() - started < 15, f"A22 {name}: time", time.monotonic() - started)
        rows.check(cache.get("/v2/").status == 200, "afterwards", "")


def test_handshakes_that_break_off_leave_nothing(make_cache, upstream, certificates):
    cache = listener(make_cache, upstream, certificates)
    blob = upstream.offers()
    for turn in range(100):
        plain = socket.create_connection(cache.address)
        if turn % 2:
            plain.sendall(b"\x16\x03\x01\x00\xc8\x01")
        plain.close()
    assert cache.get(blob).digest() == blob.digest


def test_old_protocols_on_our_listener_are_refused(make_cache, upstream, certificates):
    cache = listener(make_cache, upstream, certificates)
    old = certificates.client_context()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(cache.address) as plain:
        try:
            old.wrap_socket(plain, server_hostname="localhost")
        except (ssl.SSLError, ConnectionError):
            return
    raise AssertionError("TLS 1.1 was accepted")


def test_a_certificate_that_does_not_fit_its_key_is_refused_at_start(make_cache, upstream, certificates):
    chain, _ = certificates.server("one")
    _, other = certificates.server("two")
    for settings, word in (({"certificate": chain, "private_key": other}, "key"), ({"certificate": chain, "private_key": "/nowhere/tls.key"}, "/nowhere/tls.key")):
        cache = make_cache(upstream, tls=settings, start=False)
        cache.expect_death = True
        cache.start(ready=False)
        assert cache.process.wait(10) == 1 and word in cache.log().lower(), cache.log()

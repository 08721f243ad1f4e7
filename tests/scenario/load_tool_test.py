"""entrepot-load against scripted registries, which count what they are asked, against the real server, and against Debian's docker-registry."""
import json
import os
import re
import signal
import subprocess
import time

from harness.cache import BINARY
from harness.story import Rows
from harness.upstream import INDEX, MANIFEST, Answer, Basic, Bearer, descriptor

LOAD = os.environ.get("ENTREPOT_LOAD", os.path.join(os.path.dirname(BINARY), "entrepot-load"))
TIMEOUT_S = 60


class Told:
    """What one run printed and how it ended."""

    def __init__(self, process, out, err):
        self.status, self.out, self.err = process.returncode, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"exit {self.status}\n{self.out[-3000:]}\n{self.err[-2000:]}"


def start(*words, **options):
    return subprocess.Popen([LOAD, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def load(*words, expect=0, **options):
    process = start(*words, **options)
    try:
        told = Told(process, *process.communicate(timeout=TIMEOUT_S))
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"entrepot-load {words} did not end by itself") from None
    assert told.status == expect, told
    return told


def measure(*words, expect=0, **options):
    return load("--json", "--quiet", *words, expect=expect, **options).json


def image_of(upstream, image, tag=None):
    return f"127.0.0.1:{upstream.port}/{image.manifest.repository}:{tag or image.tag}"


def url_of(upstream, offer):
    return upstream.url + offer.path


def methods_and_paths(upstream):
    return [(request.method, request.path) for request in upstream.asked()]


# ---- what one pull asks for

def test_containerd_pulls_head_then_digest_then_config_then_layers(upstream):
    image = upstream.offers_image(layers=["64KiB", "1MiB", "3KiB"])
    found = measure("--requests", 1, "--verify", image_of(upstream, image))
    asked = methods_and_paths(upstream)
    assert asked[:3] == [("HEAD", "/v2/lab/app/manifests/1"), ("GET", image.manifest.path), ("GET", image.config.path)], asked
    assert sorted(asked[3:]) == sorted(("GET", layer.path) for layer in image.layers), asked
    head, manifest, config = upstream.asked()[:3]
    assert "application/vnd.oci.image.index.v1+json" in head.header("accept")
    assert head.header("user-agent").startswith("containerd/")
    assert config.header("accept") == "application/vnd.oci.image.config.v1+json, */*" and config.header("accept-encoding") == "gzip"
    assert manifest.header("host") == f"127.0.0.1:{upstream.port}"
    assert found["pulls"]["completed"] == 1 and found["completed"] == 6 and found["verified"] == 5, found
    assert found["kinds"]["blob"]["completed"] == 4 and found["kinds"]["manifest_head"]["completed"] == 1
    assert found["bytes"] == sum(part.size for part in image.parts)


def test_docker_asks_v2_first_and_closes_after_every_request(upstream):
    image = upstream.offers_image(layers=["64KiB"] * 5)
    found = measure("--requests", 1, "--client", "docker", image_of(upstream, image))
    asked = methods_and_paths(upstream)
    assert asked[:3] == [("GET", "/v2/"), ("HEAD", "/v2/lab/app/manifests/1"), ("GET", image.manifest.path)], asked
    assert len(asked) == 9 and found["connections_opened"] == 9, found
    assert all(request.header("connection") == "close" for request in upstream.asked())


def test_skopeo_gets_the_tag_itself_and_keeps_its_connections(upstream):
    image = upstream.offers_image(layers=["64KiB"] * 12)
    found = measure("--requests", 1, "--client", "skopeo", image_of(upstream, image))
    asked = methods_and_paths(upstream)
    assert asked[:3] == [("GET", "/v2/"), ("GET", "/v2/lab/app/manifests/1"), ("GET", image.config.path)], asked
    assert found["connections_opened"] <= 6, found


def test_the_child_of_an_index_is_chosen_by_platform(upstream):
    arm = upstream.offers_image(repository="lab/multi", tag="arm")
    amd = upstream.offers_image(repository="lab/multi", tag="amd")
    children = [{**descriptor(arm.manifest, MANIFEST), "platform": {"os": "linux", "architecture": "arm64"}},
                {**descriptor(amd.manifest, MANIFEST), "platform": {"os": "linux", "architecture": "amd64"}}]
    upstream.offers_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}, "lab/multi", tag="1", media_type=INDEX)
    target = f"127.0.0.1:{upstream.port}/lab/multi:1"
    measure("--requests", 1, target)
    assert upstream.gets(amd.layers[0]) == 1 and upstream.gets(arm.layers[0]) == 0
    measure("--requests", 1, "--platform", "linux/arm64", target)
    assert upstream.gets(arm.layers[0]) == 1
    found = measure("--requests", 1, "--platform", "linux/s390x", target, expect=1)
    assert found["errors"] == {"no_platform": 1}, found


def test_a_layer_that_breaks_off_is_continued_by_range(upstream):
    image = upstream.offers_image(layers=["4MiB"])
    layer = image.layers[0]
    upstream.next(layer, Answer(cut_after=1_000_000), Answer(cut_after=500_000))
    found = measure("--requests", 1, "--verify", image_of(upstream, image))
    ranges = [request.header("range") for request in upstream.asked(path=layer.path)]
    assert ranges[0] is None and ranges[1] == "bytes=1000000-" and len(ranges) == 3, ranges
    assert found["resumed"] == 2 and found["failed"] == 0, found


def test_a_server_that_ignores_the_range_is_read_from_the_start(upstream):
    image = upstream.offers_image(layers=["2MiB"])
    layer = image.layers[0]
    layer.ranges = False
    upstream.next(layer, Answer(cut_after=1_000_000))
    found = measure("--requests", 1, "--verify", image_of(upstream, image))
    assert found["resumed"] == 1 and found["verified"] == 3 and found["failed"] == 0, found


def test_ns_is_on_every_request(upstream):
    image = upstream.offers_image()
    measure("--requests", 1, "--ns", "upstream.test:5000", image_of(upstream, image))
    assert all(request.query == "ns=upstream.test%3A5000" for request in upstream.asked()), [r.query for r in upstream.asked()]


# ---- loads

def test_a_closed_loop_ends_by_count_and_by_clock(upstream):
    blob = upstream.offers("16KiB")
    found = measure("--connections", 4, "--requests", 100, url_of(upstream, blob))
    assert found["completed"] == 100 == upstream.gets(blob) and found["connections_opened"] == 4, found
    begun = time.monotonic()
    found = measure("--connections", 4, "--duration", "700ms", "--warmup", "300ms", url_of(upstream, blob))
    assert 0.9 < time.monotonic() - begun < 10 and 0.65 < found["window_s"] < 1.5, found
    assert 0 < found["completed"] < upstream.gets(blob), found
    found = measure("--connections", 2, "--requests", 6, "--no-keepalive", url_of(upstream, blob))
    assert found["connections_opened"] == 6, found


def test_thousands_of_connections_are_not_silent_while_they_open(cache, upstream):
    """Silent ones would fill the backlog of a server that waits for first bytes: SYN cookies, and small segments for ever after."""
    blob = upstream.offers("2KiB")
    cache.get(blob)
    url = f"http://127.0.0.1:{cache.port}{cache.path_of(blob)}"
    before = syn_cookies_sent()
    found = measure("--connections", 5000, "--duration", "1s", url)
    assert found["connections_opened"] == 5000 and found["failed"] == 0, found
    assert syn_cookies_sent() == before, f"{syn_cookies_sent() - before} of 5000 connections were more than the backlog holds"


def syn_cookies_sent():
    with open("/proc/net/netstat") as file:
        names, values = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(values[names.index("SyncookiesSent")])


def test_a_client_that_never_sleeps_measures_the_same(upstream):
    blob, slow = upstream.offers("16KiB"), upstream.offers("16KiB", delay=0.1)
    found = measure("--busy-poll", "--connections", 4, "--duration", "500ms", url_of(upstream, blob))
    assert found["completed"] > 0 and found["failed"] == 0 and found["bytes"] == found["completed"] * blob.size, found
    calm = measure("--connections", 1, "--duration", "500ms", url_of(upstream, slow))
    busy = measure("--connections", 1, "--duration", "500ms", "--busy-poll", url_of(upstream, slow))
    assert busy["client_cpu_s"] > 0.1 + calm["client_cpu_s"], f"{busy['client_cpu_s']} s of CPU, {calm['client_cpu_s']} s with sleep"


def test_a_count_that_time_does_not_suffice_for_is_an_error(upstream):
    blob = upstream.offers("64KiB", delay=0.3)
    found = measure("--requests", 10, "--duration", "1s", url_of(upstream, blob), expect=1)
    assert found["errors"]["not_finished"] + found["completed"] == 10, found


def test_everybody_asks_at_once(cache, upstream):
    blob = upstream.offers("8MiB", rate="16MiB")
    found = measure("--connections", 40, "--at-once", "--verify", f"http://127.0.0.1:{cache.port}{cache.path_of(blob)}")
    assert found["completed"] == found["verified"] == 40 and upstream.gets(blob) == 1, found
    assert found["asked_within_s"] < 0.2 and found["first_byte_s"]["max"] < found["whole_s"]["min"], found
    assert 0.4 < found["last_ended_s"] < 5, found


def test_an_open_loop_counts_from_when_a_request_was_due(upstream):
    """A server that stalls for half a second makes every request due meanwhile late; a closed loop would see one slow answer."""
    blob = upstream.offers("1KiB")
    upstream.next(blob, *[Answer() for _ in range(10)], Answer(delay=0.5))
    found = measure("--rate", 20, "--connections", 1, "--duration", "2500ms", url_of(upstream, blob))
    assert found["completed"] == 50 and found["failed"] == 0, found
    assert found["whole_s"]["p90"] > 0.2 and found["whole_s"]["max"] > 0.45, found
    assert found["whole_s"]["p50"] < 0.1, found


def test_what_was_due_and_never_answered_is_an_error(upstream):
    blob = upstream.offers("1KiB", hang=True)
    found = measure("--rate", 20, "--connections", 3, "--duration", "500ms", "--timeout", "800ms", url_of(upstream, blob), expect=1)
    assert found["completed"] == 0 and sum(found["errors"].values()) == 10, found
    assert set(found["errors"]) <= {"timeout", "not_finished"}, found


def test_a_storm_of_pulls_is_one_upstream_get_for_each_blob(cache, upstream):
    image = upstream.offers_image(layers=["512KiB"] * 3)
    target = f"127.0.0.1:{cache.port}/{cache.login_server}/lab/app:1"
    found = measure("--storm", 60, "--within", "1s", "--verify", target)
    assert found["pulls"]["completed"] == 60 and found["failed"] == 0, found
    assert found["verified"] == 60 * 5 and all(upstream.gets(blob) == 1 for blob in image.blobs), found
    assert 0.9 < found["window_s"] < 20, found


def test_a_mix_is_drawn_by_rank(upstream, directory):
    blobs = [upstream.offers("1KiB") for _ in range(20)]
    with open(f"{directory}/mix.txt", "w", encoding="utf-8") as file:
        file.write("# most popular first\n" + "".join(f"{url_of(upstream, blob)}\n" for blob in blobs))
    found = measure("--mix", f"{directory}/mix.txt", "--zipf", "1.2", "--requests", 600, "--connections", 4)
    counts = [upstream.gets(blob) for blob in blobs]
    assert sum(counts) == found["completed"] == 600
    assert counts[0] > 2 * counts[3] > 0 and sum(counts[:5]) > 300, counts


def record(time_text, method, uri, status=200):
    return {"host": "579633fd", "http.request.duration": 0.01, "http.request.method": method, "http.request.remoteaddr": "ab86f40b", "http.request.uri": uri,
            "http.request.useragent": "docker/17.03.1-ce", "http.response.status": status, "http.response.written": 10, "id": "9f63984h", "timestamp": time_text}


def test_a_trace_is_replayed_at_its_moments(upstream, directory):
    blob, other = upstream.offers("1KiB"), upstream.offers("2KiB")
    records = [record("2017-06-20T05:29:26.000Z", "GET", blob.path[1:]), record("2017-06-20T05:29:26.200Z", "HEAD", other.path[1:]),
               record("2017-06-20T05:29:26.400Z", "PUT", "v2/lab/app/manifests/1"), record("2017-06-20T05:29:28.000Z", "GET", "v2/lab/app/blobs/none", 404)]
    with open(f"{directory}/trace.json", "w", encoding="utf-8") as file:
        json.dump(records, file)
    found = measure("--replay", f"{directory}/trace.json", "--speed", 2, "--verify", upstream.url)
    assert methods_and_paths(upstream) == [("GET", blob.path), ("HEAD", other.path), ("GET", "/v2/lab/app/blobs/none")]
    moments = [request.at for request in upstream.asked()]
    assert abs(moments[2] - moments[0] - 1.0) < 0.3, moments
    assert found["completed"] == 3 and found["failed"] == 0 and found["log_passed_over"] == 1 and found["verified"] == 1, found
    assert found["statuses"] == {"200": 2, "404": 1}, found


def test_the_objects_of_a_trace_can_stand_for_real_ones(upstream, directory):
    blobs = [upstream.offers("1KiB") for _ in range(2)]
    with open(f"{directory}/trace.json", "w", encoding="utf-8") as file:
        for number, name in enumerate(["a", "b", "a", "a", "c"]):
            file.write(json.dumps(record(f"2017-06-20T05:29:26.{number}00Z", "GET", f"v2/x/{name}/blobs/{name}")) + "\n")
    found = measure("--replay", f"{directory}/trace.json", *[url_of(upstream, blob) for blob in blobs])
    assert found["completed"] == 5 and [upstream.gets(blob) for blob in blobs] == [4, 1], found


def test_a_probe_is_measured_beside_the_load(upstream, make_upstream):
    other = make_upstream()
    cold, hot = upstream.offers("2MiB"), other.offers("1KiB")
    found = measure("--connections", 4, "--duration", "1s", url_of(upstream, cold), "--probe", url_of(other, hot), "--probe-rate", 50)
    probe = found["probes"][0]
    assert probe["completed"] == 50 == other.gets(hot) and probe["failed"] == 0 and probe["whole_s"]["samples"] == 50, found
    assert found["kinds"]["url"]["bytes"] % cold.size == 0, found


def test_idle_connections_are_held_and_those_that_end_are_counted(upstream, cache):
    blob = upstream.offers("1KiB")
    url = f"http://127.0.0.1:{cache.port}{cache.path_of(blob)}"
    found = measure("--idle", 300, "--duration", "500ms", url)
    assert found["idle"] == {"held": 300, "ended_by_server": 0} and found["mode"] == "idle", found
    process = start("--json", "--idle", 20, "--duration", "20s", url)
    assert "idle connections are open" in process.stderr.readline()
    cache.expect_death = True
    cache.kill()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=TIMEOUT_S)
    assert json.loads(out)["idle"] == {"held": 20, "ended_by_server": 20} and process.returncode == 1, out


def test_slow_readers_take_their_time(upstream):
    blob = upstream.offers("256KiB")
    found = measure("--connections", 5, "--requests", 5, "--slow-reader", "256KiB", url_of(upstream, blob))
    assert 0.7 < found["whole_s"]["min"] and found["whole_s"]["max"] < 5, found


def test_threads_share_the_load(upstream):
    blob = upstream.offers("16KiB")
    found = measure("--threads", 2, "--connections", 5, "--requests", 101, url_of(upstream, blob))
    assert found["completed"] == 101 == upstream.gets(blob) and found["connections_opened"] == 5, found
    found = measure("--threads", 2, "--rate", 100, "--duration", "500ms", url_of(upstream, blob))
    assert found["completed"] == 50, found


# ---- right and wrong

def test_what_is_wrong_with_an_answer_is_an_error_of_its_kind(make_upstream):
    upstream = make_upstream()
    rows = [("wrong_digest", dict(corrupt_at=5000), ["--verify"]), ("short_body", dict(cut_after=5000), []), ("short_body", dict(cut_after=5000, reset=True), []),
            ("short_body", dict(chunked=True, cut_after=5000), []), ("status", dict(status=503), []), ("status", dict(status=404), []),
            ("closed", dict(drop=True), []), ("timeout", dict(hang=True), ["--timeout", "200ms"]), ("bad_message", dict(raw=b"HTTP/9 what\r\n\r\n"), []),
            ("redirect", dict(status=307, headers={"Location": "http://127.0.0.9:1/elsewhere"}), [])]
    with Rows() as table:
        for kind, behaviour, words in rows:
            blob = upstream.offers("64KiB")
            upstream.always(blob, Answer(**behaviour))
            told = load("--json", "--quiet", "--requests", 2, *words, url_of(upstream, blob), expect=1)
            table.check(told.json["errors"] == {kind: 2} and told.json["completed"] == 0, f"{kind} {behaviour}", told)


def test_without_verify_a_corrupt_body_counts_as_any_other(upstream):
    blob = upstream.offers("64KiB", corrupt_at=5000)
    assert measure("--requests", 2, url_of(upstream, blob))["completed"] == 2


def test_a_corrupt_layer_or_manifest_fails_the_pull(upstream):
    image = upstream.offers_image(layers=["64KiB", "64KiB"])
    upstream.next(image.layers[1], Answer(corrupt_at=-1))
    found = measure("--requests", 1, "--verify", image_of(upstream, image), expect=1)
    assert found["errors"] == {"wrong_digest": 1} and found["pulls"]["failed"] == 1, found
    upstream.next(image.manifest, Answer(body=b'{"schemaVersion": 2, "layers": []}'))
    found = measure("--requests", 1, image_of(upstream, image), expect=1)
    assert found["errors"] == {"wrong_digest": 1} and found["pulls"]["completed"] == 0, found


def test_a_layer_of_another_length_than_its_manifest_says_is_an_error(upstream):
    image = upstream.offers_image(layers=["64KiB"])
    upstream.next(image.layers[0], Answer(body=b"x" * 1000))
    assert measure("--requests", 1, image_of(upstream, image), expect=1)["errors"] == {"wrong_length": 1}


def test_a_kept_connection_that_had_ended_is_no_error(upstream):
    blob = upstream.offers("1KiB")
    process = start("--json", "--quiet", "--rate", 4, "--connections", 1, "--duration", "1s", url_of(upstream, blob))
    upstream.until_requested(blob, times=2)
    time.sleep(0.1)
    upstream.drop_connections()
    out, err = process.communicate(timeout=TIMEOUT_S)
    found = json.loads(out)
    assert found["completed"] == 4 and found["failed"] == 0 and found["retried"] == 1 and found["connections_opened"] == 2, (out, err)


def test_nobody_listens(upstream):
    blob = upstream.offers("1KiB")
    url = url_of(upstream, blob)
    upstream.stop()
    found = measure("--connections", 2, "--duration", "300ms", url, expect=1)
    assert set(found["errors"]) == {"refused"} and found["failed"] < 200, found


# ---- who may be asked, and as whom

def test_redirects_are_followed_where_the_user_says(upstream, make_upstream):
    store = make_upstream(address="127.0.0.2")
    image = upstream.offers_image(layers=["64KiB"])
    there = store.offers(data=image.layers[0].data)
    upstream.always(image.layers[0], Answer(307, {"Location": store.url + there.path}, b""))
    found = measure("--requests", 1, "--verify", image_of(upstream, image), expect=1)
    assert found["errors"] == {"redirect": 1} and not store.asked(), found
    found = measure("--requests", 1, "--verify", "--follow", "127.0.0.2", image_of(upstream, image))
    assert found["redirected"] == 1 and found["verified"] == 3 and store.gets(there) == 1, found


def test_tokens_are_fetched_anonymously_and_with_credentials(make_upstream, make_tokens, directory):
    with open(f"{directory}/password", "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write("correct horse\n")
    login = ["--user", "lab", "--password-file", f"{directory}/password"]
    with Rows() as rows:
        for words, server in (([], {}), (login, dict(username="lab", password="correct horse"))):
            tokens = make_tokens(**server)
            upstream = make_upstream(guard=Bearer(tokens))
            image = upstream.offers_image(layers=["64KiB"])
            refused = load("--json", "--quiet", "--requests", 1, *words, image_of(upstream, image), expect=1).json
            rows.check(refused["errors"] == {"login": 1} and not tokens.seen(), "a realm nobody named", refused)
            for client in ("containerd", "docker", "skopeo"):
                told = load("--json", "--quiet", "--requests", 2, "--verify", "--client", client, "--follow", f"127.0.0.1:{tokens.port}", *words,
                            image_of(upstream, image))
                rows.check(told.json["pulls"]["completed"] == 2 and told.json["kinds"]["login"]["completed"] == (4 if client == "containerd" else 2), client, told)


def test_basic_login_needs_the_right_password(make_upstream, directory):
    upstream = make_upstream(guard=Basic("lab", "correct horse"))
    image = upstream.offers_image(layers=["64KiB"])
    with Rows() as rows:
        for password, status, errors in (("correct horse", 0, {}), ("wrong", 1, {"status": 1})):
            with open(f"{directory}/password", "w", encoding="utf-8") as file:
                file.write(password)
            told = load("--json", "--quiet", "--requests", 1, "--user", "lab", "--password-file", f"{directory}/password", image_of(upstream, image), expect=status)
            rows.check(told.json["errors"] == errors, password, told)
        told = load("--json", "--quiet", "--requests", 1, image_of(upstream, image), expect=1)
        rows.check(told.json["errors"] == {"login": 1}, "none", told)


def test_tls_is_trusted_by_ca_or_not_at_all(make_upstream, certificates):
    upstream = make_upstream(tls=certificates.server_context())
    blob = upstream.offers("300KiB")
    url = f"https://127.0.0.1:{upstream.port}{blob.path}"
    with Rows() as rows:
        for words, status in ((["--tls-ca", certificates.authority], 0), (["--insecure"], 0), (["--tls-ca", certificates.stranger], 1)):
            told = load("--json", "--quiet", "--requests", 3, "--verify", *words, url, expect=status)
            rows.check(told.json["errors"] == ({"tls": 3} if status else {}) and told.json["verified"] == (0 if status else 3), words, told)
        told = load("--json", "--quiet", "--requests", 3, "--tls-ca", certificates.authority, url.replace("127.0.0.1", "localhost"))
        rows.check(told.json["completed"] == 3, "by name", told)


# ---- the real things

def test_docker_registry_is_pulled_from_by_every_client(registry):
    for client in ("containerd", "docker", "skopeo"):
        found = measure("--requests", 3, "--connections", 3, "--verify", "--client", client, f"127.0.0.1:{registry.port}/library/busybox:latest")
        assert found["pulls"]["completed"] == 3 and found["failed"] == 0, found


def test_entrepot_in_front_of_docker_registry_serves_a_storm(make_cache, registry):
    cache = make_cache(registry)
    target = f"127.0.0.1:{cache.port}/{registry.login_server}/library/busybox:latest"
    found = measure("--storm", 100, "--within", "500ms", "--verify", "--server-pid", cache.process.pid, target)
    assert found["pulls"]["completed"] == 100 and found["verified"] == found["completed"] - found["kinds"]["manifest_head"]["completed"], found
    assert found["server"]["cpu_s"] > 0 and found["server"]["cpu_us_per_request"] > 0, found
    assert set(registry.blob_gets().values()) == {1}, registry.blob_gets()


# ---- how it is told

def test_bad_use_is_one_line_and_status_2(upstream, directory):
    rows = [[], ["alpine"], ["--rate", "0", upstream.url], ["--mix", f"{directory}/none"], ["--replay", f"{directory}/none", upstream.url], ["--duration", "5", upstream.url],
            ["--no-such-option", upstream.url], ["http://no-such-host.invalid/"], ["--server-pid", "999999999", upstream.url], ["--tls-ca", f"{directory}/none", upstream.url],
            ["--idle", "1000000", upstream.url], ["--source", "here", upstream.url], ["--follow", "a b", upstream.url], ["--probe", "alpine", upstream.url]]
    with Rows() as table:
        for words in rows:
            process = start(*words)
            out, err = process.communicate(timeout=TIMEOUT_S)
            line = re.fullmatch(r"entrepot-load: [^\n]+\n", err)
            table.check(process.returncode == 2 and line and not out, words, f"{process.returncode} {err!r}")
    assert not upstream.asked()


def test_the_table_the_picture_and_the_page(upstream, directory):
    blob = upstream.offers("64KiB")
    told = load("--connections", 2, "--duration", "500ms", "--plot", f"{directory}/load.svg", "--report", f"{directory}/load.html", url_of(upstream, blob))
    for word in ("requests", "GB/s", "first byte", "whole answer", "p99.9", "errors         none"):
        assert word in told.out, told
    with open(f"{directory}/load.svg", encoding="utf-8") as file:
        picture = file.read()
    with open(f"{directory}/load.html", encoding="utf-8") as file:
        page = file.read()
    assert picture.startswith("<svg ") and "Latency by percentile" in picture
    assert picture in page and told.out.splitlines()[3] in page
    load("--requests", 1, "--plot", f"{directory}/no/such.svg", url_of(upstream, blob), expect=1)


def test_a_signal_ends_it_with_what_was_measured(upstream):
    blob = upstream.offers("16KiB")
    process = start("--json", "--connections", 3, "--duration", "1h", url_of(upstream, blob))
    upstream.until(lambda: len(upstream.requests_seen) > 20, 10, "requests")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    found = json.loads(out)
    assert process.returncode == 0 and found["stopped"] and found["completed"] > 10 and found["failed"] == 0, (out, err)


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(upstream):
    blob = upstream.offers("16KiB")
    told = load("--connections", 1, "--duration", "5500ms", url_of(upstream, blob))
    assert re.fullmatch(r"[45]\.\d of 6 s   \d+ answers/s   \d\.\d+ GB/s   \d+ complete   0 errors\n", told.err), told.err


def test_a_silent_tls_server_does_not_keep_it_from_ending(make_trap):
    trap = make_trap()
    begun = time.monotonic()
    found = measure("--insecure", "--no-keepalive", "--connections", 2, "--duration", "500ms", f"https://127.0.0.1:{trap.port}/v2/", expect=1)
    assert found["completed"] == 0 and time.monotonic() - begun < 10, found


def test_a_chain_of_redirects_has_an_end(upstream):
    blob = upstream.offers("1KiB")
    upstream.always(blob, Answer(302, {"Location": blob.path}, b""))
    found = measure("--requests", 1, url_of(upstream, blob), expect=1)
    assert found["errors"] == {"redirect": 1} and upstream.gets(blob) == 6 and found["redirected"] == 5, found


def test_a_layer_that_breaks_off_too_often_fails_the_pull(upstream):
    image = upstream.offers_image(layers=["64KiB"])
    upstream.always(image.layers[0], Answer(cut_after=1000))
    found = measure("--requests", 1, image_of(upstream, image), expect=1)
    assert found["errors"] == {"short_body": 1} and found["resumed"] == 5 and upstream.gets(image.layers[0]) == 6, found


def test_a_manifest_past_four_mebibytes_is_none(upstream):
    upstream.offers_manifest(b'{"schemaVersion": 2, "layers": []}' + b" " * (4 << 20), tag="large")
    found = measure("--requests", 1, f"127.0.0.1:{upstream.port}/lab/app:large", expect=1)
    assert found["errors"] == {"bad_manifest": 1}, found


def test_credentials_do_not_follow_a_redirect(make_upstream, make_trap, directory):
    trap = make_trap()
    upstream = make_upstream(guard=Basic("lab", "correct horse"))
    image = upstream.offers_image(layers=["64KiB"])
    upstream.always(image.layers[0], Answer(307, {"Location": f"{trap.url}/layer"}, b""))
    with open(f"{directory}/password", "w", encoding="utf-8") as file:
        file.write("correct horse")
    found = measure("--requests", 1, "--user", "lab", "--password-file", f"{directory}/password", "--follow", f"127.0.0.1:{trap.port}", image_of(upstream, image), expect=1)
    assert found["errors"] == {"wrong_length": 1} and len(trap.seen()) == 1, found


def test_only_the_first_clients_verify_if_so_told(upstream):
    blob = upstream.offers("16KiB", corrupt_at=100)
    found = measure("--connections", 4, "--at-once", "--verify", "--verify-clients", 1, url_of(upstream, blob), expect=1)
    assert found["errors"] == {"wrong_digest": 1} and found["completed"] == 3, found


def test_urls_are_asked_as_told(upstream):
    image = upstream.offers_image()
    manifest = f"{upstream.url}/v2/lab/app/manifests/1"
    found = measure("--requests", 2, "--head", "--as-url", "--header", "X-Trial: 7", manifest)
    assert methods_and_paths(upstream) == [("HEAD", "/v2/lab/app/manifests/1")] * 2 and found["kinds"]["url"]["completed"] == 2, found
    assert upstream.asked()[0].header("x-trial") == "7" and "application/vnd.oci.image.index.v1+json" in upstream.asked()[0].header("accept")
    measure("--requests", 1, "--as-url", "--verify", "--header", "Accept: a/b", manifest)
    assert upstream.asked()[-1].header("accept") == "a/b" and upstream.gets(image.config) == 0


def test_on_a_terminal_progress_is_one_line_that_is_rewritten(upstream):
    blob = upstream.offers("16KiB")
    ours, theirs = os.openpty()
    process = subprocess.Popen([LOAD, "--connections", "2", "--duration", "1s", url_of(upstream, blob)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:     # the other end is closed
        pass
    out, _ = process.communicate(timeout=TIMEOUT_S)
    lines = shown.decode().split("\r\x1b[K")
    assert process.returncode == 0 and "whole answer" in out and b"\n" not in shown, shown
    assert len(lines) >= 4 and re.fullmatch(r"0\.\d of 1 s   \d+ answers/s   \d\.\d+ GB/s   \d+ complete   0 errors", lines[1]) and lines[-1] == "", lines


def test_a_probe_that_is_not_answered_is_an_error(upstream, make_upstream):
    other = make_upstream()
    good, silent = upstream.offers("64KiB"), other.offers("1KiB", hang=True)
    found = measure("--connections", 1, "--duration", "500ms", "--timeout", "400ms", url_of(upstream, good), "--probe", url_of(other, silent), "--probe-rate", 20, expect=1)
    assert found["failed"] == 0 < found["completed"], found
    assert found["probes"][0]["completed"] == 0 and sum(found["probes"][0]["errors"].values()) == 10, found

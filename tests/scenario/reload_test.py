"""SIGHUP: the configuration file is read again. What is good is taken without a pull failing, what is bad changes nothing, and what cannot be taken is said."""
import os
import signal
import threading
import time

from harness.api import Api
from harness.story import Rows


def reread(cache, text=None):
    """Writes the settings, or this text, and waits until the log says what became of it."""
    with open(f"{cache.directory}/entrepot.toml", "w", encoding="utf-8") as file:
        file.write(cache.settings.text() if text is None else text)
    before = len(cache.log())
    os.kill(cache.process.pid, signal.SIGHUP)
    end = time.monotonic() + 10
    while "in use" not in (said := cache.log()[before:]) and "stays" not in said:
        assert time.monotonic() < end and cache.alive, said
        time.sleep(0.01)
    return said


def test_rules_of_the_file_come_and_go_and_what_was_made_at_run_time_stays(make_cache, upstream):
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream)
    source = f"{upstream.login_server}/{image.manifest.repository}"
    Api(cache).rule("made-here", source, "mine")
    assert cache.tag(image, "1").status == 200
    rule = cache.settings.rules[0]
    before, rule["target"] = rule["target"], "moved/*"
    assert "are in use" in reread(cache)
    assert cache.tag(image, "1").status == 404
    assert cache.get(f"/v2/moved/{image.manifest.repository}/manifests/1").status == 200
    assert cache.get("/v2/mine/manifests/1").status == 200
    # The file now takes a target that was given at run time: the rule waits aside, and says why.
    cache.settings.rules.append({"name": "taken", "source": source, "target": "mine"})
    said = reread(cache)
    assert '"made-here", made at run time, takes no part' in said and '"taken"' in said
    shown = Api(cache).get("/cache-rules/made-here")
    assert shown["provisioningState"] == "Failed" and '"taken"' in shown["problem"]
    cache.settings.rules.pop()
    rule["target"] = before
    reread(cache)
    assert cache.tag(image, "1").status == 200
    assert Api(cache).get("/cache-rules/made-here")["provisioningState"] == "Succeeded"


def test_a_bad_file_is_refused_with_its_line_and_the_old_configuration_stays(make_cache, upstream):
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream)
    for text, says in [("[server]\nlsten = []\n", "entrepot.toml:2: "), ("[[cache_rule]\n", "entrepot.toml:1: "),
                       ('[[cache_rule]]\nname = "a"\nsource = "quay.io/*"\ntarget = "a/*"\n[[cache_rule]]\nname = "b"\nsource = "quay.io/*"\ntarget = "a/b/*"\n', '"a"')]:
        said = reread(cache, text)
        assert says in said and "the running configuration stays" in said, said
        assert cache.tag(image, "1").status == 200


def test_what_waits_for_a_restart_is_named(make_cache, upstream):
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream)
    cache.settings.server["shards"] = 1
    cache.settings.store["capacity"] = "3GiB"
    cache.settings.upstreams[0]["allow_private"] = True
    said = reread(cache)
    assert "waits for a restart: [server] shards, [store]" in said and "are in use" in said, said
    assert cache.tag(image, "1").status == 200


def test_a_new_upstream_and_its_rule_work_at_once(make_cache, make_upstream):
    first, second = make_upstream("first.test"), make_upstream("second.test")
    image = second.offers_image(tag="1")
    cache = make_cache(first)
    cache.settings.upstreams.append({"login_server": "second.test", "endpoints": [second.url], "allow_private": True})
    cache.settings.rules.append({"name": "second", "source": "second.test/*", "target": "second/*"})
    reread(cache)
    assert cache.get(f"/v2/second/{image.manifest.repository}/manifests/1").status == 200


def test_no_pull_fails_while_the_file_is_read_a_hundred_times(make_cache, upstream):
    image = upstream.offers_image(tag="1")
    cache = make_cache(upstream, tag_ttl="1h")
    cache.tag(image, "1")
    wrong, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            reply = cache.get(image.manifest)
            if reply.digest() != image.manifest.digest:
                wrong.append(reply.status)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for one in askers:
        one.start()
    for number in range(100):
        cache.settings.rules[0]["tag_ttl"] = f"{number + 1}h"
        reread(cache)
    stop.set()
    for one in askers:
        one.join()
    assert not wrong
    assert Api(cache).get(f"/cache-rules/{cache.settings.rules[0]['name']}")["tagTtl"] == "100h"
    cache.settings.rules[0]["tag_ttl"] = "7h"
    # Several signals at once: one of them at least is heard, and the end may come in the middle.
    for _ in range(20):
        os.kill(cache.process.pid, signal.SIGHUP)
    cache.expect_death = True
    assert cache.stop() == 0


def test_a_ca_file_is_read_again_and_one_that_cannot_be_used_changes_nothing(make_cache, make_upstream, certificates, directory):
    """E23."""
    ca_file = f"{directory}/corp-ca.pem"

    def write(text):
        with open(ca_file, "w", encoding="ascii") as file:
            file.write(text)

    def text_of(path):
        with open(path, encoding="ascii") as file:
            return file.read()
    write(text_of(certificates.authority))
    upstream = make_upstream(tls=certificates.server_context(), host="localhost")
    cache = make_cache(upstream, upstream={"ca_file": ca_file})
    with Rows() as rows:
        def pulls(row, works=True):
            upstream.drop_connections()
            blob = upstream.offers("4KiB")
            end = time.monotonic() + 5      # an upstream that was refused may be left alone for a second
            while (done := cache.get(blob).digest() == blob.digest) != works and time.monotonic() < end:
                time.sleep(0.2)
            rows.check(done == works, row, cache.log()[-400:])

        def spoilt(name):
            said = reread(cache)
            rows.check("a CA file is not taken: " in said and ca_file in said and "are trusted as before" in said, f"{name} is said, with its path", said)
            rows.check(said.count("not taken") == 1 and "are in use" in said, f"{name} is said in one line, and the rest is taken", said)
            pulls(f"{name}: what was trusted stays")
        pulls("at first")
        rows.check("ca_file" not in reread(cache), "the same file is no news", "")
        write("")
        spoilt("emptied")
        write(text_of(certificates.authority)[:200])
        spoilt("cut in the middle")
        write("-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n")
        spoilt("broken")
        os.unlink(ca_file)
        spoilt("gone")
        os.mkdir(ca_file)
        spoilt("unreadable")
        os.rmdir(ca_file)
        write(text_of(certificates.stranger))
        kept = cache.connect()
        blob = upstream.offers("4KiB")
        rows.check(kept.exchange("GET", cache.path_of(blob)).digest() == blob.digest, "a connection to upstream stands idle", "")
        said = reread(cache)
        rows.check(f"ca_file {ca_file} changed: new connections trust what it holds now" in said, "another authority is said", said)
        blob = upstream.offers("4KiB")
        reply = kept.exchange("GET", cache.path_of(blob))
        rows.check(reply.status == 502 and b"not trusted" in reply.body, "and counts at once, also where a connection stands idle", reply.body)
        kept.close()
        pulls("the old authority is trusted no more", works=False)
        write(text_of(certificates.stranger) + text_of(certificates.authority))
        reread(cache)
        pulls("both in one file, as in a change of authorities")

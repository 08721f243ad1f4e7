"""Who delivers a wrong or short body as a complete one, and who still has it when the upstream is well again."""
import concurrent.futures
import hashlib
import http.client
import os

from faulty_upstream import FAULTS, digest_of
from result import Matrix
from rows import row
from rows.coalescing import CACHES
from upstream import FaultyUpstream

CLIENTS = 3
WRONG = "WRONG BODY AS COMPLETE"


@row("faults", "Faults of the upstream")
def faults(bench):
    """Three clients ask at once for a blob whose download goes wrong; when they are done the upstream is well again, and one
    more asks. "Broken": every client can tell by the framing that its body is not whole. "Refused": an error status. "Right":
    the whole and right body, because the cache went on where the download broke, or asked again. What no client can tell from a
    good download stands in capitals. Correctness needs no repetitions."""
    during, afterwards = {}, {}
    for name in bench.among(*CACHES):
        bench.say(f"faults: {name}")
        for fault, text in FAULTS.items():
            words = bench.interleave_one(name, lambda name, fault=fault: outcome(bench, name, fault))
            for table, key in ((during, "during"), (afterwards, "afterwards")):
                table.setdefault(text, {})[name] = words[key] if words else "failed"
    bad = [WRONG]
    return [Matrix("faults", "While it goes wrong", during, bad), Matrix("faults", "Afterwards, the upstream well again", afterwards, bad)]


def outcome(bench, name, fault):
    with FaultyUpstream(os.path.join(bench.work, "faulty.log")) as upstream, bench.start(name, upstream) as server:
        url = server.url("blobs", digest_of(fault), f"bench.test/{fault}")
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            during = set(pool.map(lambda _: pull(url, digest_of(fault)), range(CLIENTS)))
        upstream.heal()
        return {"during": worst(during), "afterwards": pull(url, digest_of(fault))}


def worst(words):
    return next(word for word in (WRONG, "broken", "refused", "right") if word in words)


def pull(url, digest):
    """What one client gets, as HTTP lets it know."""
    host, path = url.removeprefix("http://").split("/", 1)
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        connection.request("GET", "/" + path)
        answer = connection.getresponse()
        if answer.status >= 300:
            return "refused"
        body = answer.read()  # raises when Content-Length or the chunks tell that it is not whole
    except (http.client.HTTPException, OSError):
        return "broken"
    finally:
        connection.close()
    return "right" if "sha256:" + hashlib.sha256(body).hexdigest() == digest else WRONG

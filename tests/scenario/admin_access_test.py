"""Who may do what on the admin listener: over TCP, over the Unix socket, from another machine, and from the pages of a browser."""
import concurrent.futures
import grp
import http.client
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import time

from harness.cache import BINARY
from harness.origin import free_port
from harness.service import die_with_parent
from harness.story import Rows, skip

RULE = "/api/v1/cache-rules/made-here"
BODY = {"sourceRepository": "docker.io/library/alpine", "targetRepository": "made-here"}
NOBODY = 65534


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


def ask(connection, method, path, document=None, headers=None):
    """(status, headers, document or text)"""
    headers = dict(headers or {})
    if document is not None:
        headers.setdefault("Content-Type", "application/json")
    body = document if document is None or isinstance(document, (str, bytes)) else json.dumps(document)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        text = reply.read().decode()
        return reply.status, reply.headers, json.loads(text) if "json" in reply.headers.get("Content-Type", "") else text
    finally:
        connection.close()


def tcp(cache):
    return http.client.HTTPConnection("127.0.0.1", cache.admin_port, timeout=20)


def token_of(cache):
    with open(f"{cache.store}/admin.token", encoding="ascii") as file:
        return file.read().strip()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def make(connection, headers=None):
    """The status of making a rule. What was made is not taken away."""
    return ask(connection, "PUT", RULE, BODY, {"If-None-Match": "*", **(headers or {})})[0]


def test_reading_is_open_on_the_machine_and_changing_needs_the_token(make_cache, upstream):
    cache = make_cache(upstream)
    path = f"{cache.store}/admin.token"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    token = token_of(cache)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    cache.secrets.append(token)
    changes = [("PUT", RULE, BODY), ("PATCH", RULE, {}), ("DELETE", RULE, None), ("PUT", "/api/v1/credential-sets/a", {}), ("POST", "/api/v1/apply", {}),
               ("PUT", RULE + "?dryRun=true", BODY)]
    with Rows() as rows:
        for page in ("/healthz", "/readyz", "/metrics", "/api/v1/status", "/api/v1/cache-rules", "/api/v1/export"):
            rows.check(f"reading {page}", ask(tcp(cache), "GET", page)[0] == 200)
        # Each wrong token is answered later than the one before: all of them at one change, none and another scheme at every one.
        for number, (method, path, body) in enumerate(changes):
            for name, headers in {"without a token": {}, "with a wrong one": bearer("x" * 43), "with half of it": bearer(token[:-1]), "as Basic": {"Authorization": f"Basic {token}"},
                                  "with a token of pulling": bearer("ept_" + "x" * 43), "in the query": {}}.items():
                if number and "Bearer" in headers.get("Authorization", ""):
                    continue
                target = path + ("&" if "?" in path else "?") + f"access_token={token}" if name == "in the query" else path
                status, fields, answer = ask(tcp(cache), method, target, body, headers)
                rows.check(f"H01 {method} {path} {name}", status == 401 and fields["WWW-Authenticate"].startswith("Bearer") and answer["error"]["code"] == "TokenRequired", status)
        rows.check("nothing was made by any of that", ask(tcp(cache), "GET", "/api/v1/cache-rules/made-here")[0] == 404)
        rows.check("with the token it is", make(tcp(cache), bearer(token)) == 201)
        rows.check("and it is used", ask(tcp(cache), "DELETE", RULE, headers=bearer(token))[0] == 204)


def test_the_token_can_be_replaced_and_counts_only_while_it_is_private(make_cache, upstream):
    cache = make_cache(upstream)
    path, first = f"{cache.store}/admin.token", token_of(cache)
    cache.stop()
    cache.start()
    assert token_of(cache) == first, "a restart made another token"
    own = "my-own-token-of-enough-length-0123456789"
    with open(path, "w", encoding="ascii") as file:
        file.write(own + "\n")
    assert make(tcp(cache), bearer(first)) == 401
    assert make(tcp(cache), bearer(own)) == 201
    os.chmod(path, 0o640)
    status, _, answer = ask(tcp(cache), "DELETE", RULE, headers=bearer(own))
    assert status == 403 and answer["error"]["code"] == "TokenUnusable", (status, answer)
    cache.stop()
    cache.start()
    assert "admin.token may be read or written by others" in cache.log()
    assert ask(tcp(cache), "GET", "/api/v1/status")[0] == 200
    os.unlink(path)
    assert ask(tcp(cache), "DELETE", RULE, headers=bearer(own))[0] == 403
    cache.stop()
    cache.start()
    assert ask(tcp(cache), "DELETE", RULE, headers=bearer(token_of(cache)))[0] == 204


def test_no_name_of_elsewhere_and_no_page_of_elsewhere(make_cache, upstream):
    """DNS rebinding and requests that a page makes in its reader's name."""
    cache = make_cache(upstream)
    token = token_of(cache)
    with Rows() as rows:
        for host, status in {"localhost": 200, "127.0.0.1:5001": 200, "[::1]:5001": 200, "10.9.8.7": 200, "evil.example": 403, "evil.example:5001": 403,
                             "localhost.evil.example": 403, "127.0.0.1.nip.io": 403, "0x7f000001": 403}.items():
            rows.check(f"Host {host}", ask(tcp(cache), "GET", "/api/v1/status", headers={"Host": host})[0] == status)
        host = f"127.0.0.1:{cache.admin_port}"
        for name, headers, allowed in (("no page", {}, True), ("our own", {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}, True),
                                       ("another", {"Origin": "http://evil.example"}, False), ("a file", {"Origin": "null"}, False),
                                       ("another port of ours", {"Origin": "http://127.0.0.1:1"}, False), ("without Origin", {"Sec-Fetch-Site": "cross-site"}, False)):
            status, _, _ = ask(tcp(cache), "PUT", RULE + "?dryRun=true", BODY, {"Host": host, "If-None-Match": "*", **bearer(token), **headers})
            rows.check(f"a change from {name}", status == (200 if allowed else 403), status)
            rows.check(f"reading from {name}", ask(tcp(cache), "GET", "/api/v1/status", headers={"Host": host, **headers})[0] == 200)
        status, fields, _ = ask(tcp(cache), "OPTIONS", RULE, headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"})
        rows.check("no permission for other pages", status == 405 and not [name for name in fields if name.lower().startswith("access-control-")], status)


def test_bodies_are_bounded_strict_and_read_only_for_who_may(make_cache, upstream):
    """H02."""
    cache = make_cache(upstream)
    headers = {"If-None-Match": "*", **bearer(token_of(cache))}
    deep = "{\"sourceRepository\":" * 33 + "1" + "}" * 33
    with Rows() as rows:
        for name, body, more, status in (
                ("not JSON", "{", {}, 400), ("a list", "[]", {}, 400), ("deep", deep, {}, 400), ("very deep", "[" * 60000, {}, 400), ("a name twice", '{"targetRepository":"a","targetRepository":"b"}', {}, 400),
                ("an unknown field", {**BODY, "sourceRepo": "x"}, {}, 400), ("a wrong type", {**BODY, "platforms": "linux/amd64"}, {}, 400), ("no UTF-8", b'{"a":"\xff"}', {}, 400),
                ("two documents", "{}{}", {}, 400), ("64 KiB and a byte", "{" + " " * 65535 + "}", {}, 413), ("text", json.dumps(BODY), {"Content-Type": "text/plain"}, 415),
                ("a form", "a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415)):
            answer = ask(tcp(cache), "PUT", RULE, body, {**headers, **more})
            rows.check(f"H02 {name}", answer[0] == status and answer[2]["error"]["message"], answer)
        rows.check("an unknown parameter", ask(tcp(cache), "PUT", RULE + "?dryrun=true", BODY, headers)[0] == 400)
        rows.check("nothing was made", ask(tcp(cache), "GET", RULE)[0] == 404)
        rows.check("the server is well", make(tcp(cache), headers) == 201)


def test_requests_with_bodies_cannot_smuggle_others(make_cache, upstream):
    cache = make_cache(upstream)
    token = token_of(cache)
    body = json.dumps(BODY)
    start = f"PUT {RULE}?dryRun=true HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nIf-None-Match: *\r\nContent-Type: application/json\r\n"
    hidden = f"DELETE {RULE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    chunks = f"{len(body):x};a=b\r\n{body}\r\n0\r\n\r\n"

    def statuses(data, half_close=True):
        with socket.create_connection(("127.0.0.1", cache.admin_port), timeout=20) as client:
            client.sendall(data.encode())
            if half_close:
                client.shutdown(socket.SHUT_WR)
            got = b""
            try:
                while piece := client.recv(65536):
                    got += piece
            except ConnectionResetError:
                pass
        return [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3}) ", got, re.MULTILINE)]

    with Rows() as rows:
        for name, data, expected in (
                ("a length, then another request", f"{start}Content-Length: {len(body)}\r\n\r\n{body}GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".replace("Host: a", "Host: localhost"), [200, 200]),
                ("chunks, then another request", f"{start}Transfer-Encoding: chunked\r\n\r\n{chunks}GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", [200, 200]),
                ("A01 length and chunks", f"{start}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{hidden}", [400]),
                ("A02 two lengths", f"{start}Content-Length: {len(body)}\r\nContent-Length: {len(body)}\r\n\r\n{body}{hidden}", [400]),
                ("A04 a list of lengths", f"{start}Content-Length: {len(body)}, {len(body)}\r\n\r\n{body}{hidden}", [400]),
                ("A06 two encodings", f"{start}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunks}{hidden}", [400]),
                ("A08 bare LF behind a size", f"{start}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\n{body}\r\n0\r\n\r\n{hidden}", [400]),
                ("A08 bytes behind the data", f"{start}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n{body}xx\r\n0\r\n\r\n{hidden}", [400]),
                ("A09 a long extension", f"{start}Transfer-Encoding: chunked\r\n\r\n{len(body):x};{'x' * 300}\r\n{body}\r\n0\r\n\r\n{hidden}", [400]),
                ("a body that ends early", f"{start}Content-Length: {len(body) + 5}\r\n\r\n{body}", []),
                ("a GET with a body", f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(hidden)}\r\n\r\n{hidden}", [400]),
                ("a body where none is taken", f"DELETE {RULE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(hidden)}\r\n\r\n{hidden}", [400])):
            got = statuses(data)
            rows.check(name, got == expected, got)


def test_wrong_tokens_are_slow_and_hold_up_nobody(make_cache, upstream):
    """H04."""
    cache = make_cache(upstream)
    token = token_of(cache)
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        begun = time.monotonic()
        guesses = [pool.submit(ask, tcp(cache), "DELETE", RULE, None, bearer(f"{number:043}")) for number in range(300)]
        slowest = 0
        while not all(guess.done() for guess in guesses):
            asked = time.monotonic()
            assert ask(tcp(cache), "GET", "/healthz")[0] == 200
            assert ask(tcp(cache), "PUT", RULE + "?dryRun=true", BODY, {"If-None-Match": "*", **bearer(token)})[0] == 200
            slowest = max(slowest, time.monotonic() - asked)
        statuses = [guess.result()[0] for guess in guesses]
    assert set(statuses) <= {401, 429}, set(statuses)
    assert statuses.count(401) <= 10 + 5 * (time.monotonic() - begun), statuses.count(401)
    assert slowest < 2, f"the right token waited {slowest:.2f} s"
    assert cache.log().count("a wrong token from") <= 3 + (time.monotonic() - begun) / 10


def as_user(user, group, *groups):
    def become():
        die_with_parent()
        os.setgroups(list(groups))
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    return become


def ask_as(become, path, *requests):
    """Statuses of the requests, or the names of the errors, asked over the socket by a copy of this process that became somebody else."""
    answers, say = os.pipe()
    child = os.fork()
    if child == 0:
        said = []
        try:
            become()
            for request in requests:
                try:
                    said.append(str(ask(UnixConnection(path), *request)[0]))
                except OSError as error:
                    said.append(type(error).__name__)
        finally:
            os.write(say, " ".join(said).encode())
            os._exit(0)
    os.close(say)
    with os.fdopen(answers) as pipe:
        said = pipe.read().split()
    os.waitpid(child, 0)
    return said


def test_the_socket_knows_who_asks(make_cache, upstream, directory):
    if os.geteuid() != 0:
        skip("becomes other users, for which it must be root")
    place = f"{directory}/run/admin.sock"
    group = grp.getgrnam("daemon")
    cache = make_cache(upstream, server={"admin_too": [f"unix:{place}"], "admin_group": "daemon"})
    found = os.stat(place)
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o660 and found.st_gid == group.gr_gid, found
    change, read = ["PUT", RULE + "?dryRun=true", BODY, {"If-None-Match": "*"}], ["GET", "/api/v1/status", None, {}]
    with Rows() as rows:
        rows.check("root", ask(UnixConnection(place), *change)[0] == 200 and ask(UnixConnection(place), *read)[0] == 200)
        for name in (place, os.path.dirname(place), directory):
            while name != "/" and not os.stat(name).st_mode & stat.S_IXOTH and stat.S_ISDIR(os.stat(name).st_mode):
                os.chmod(name, os.stat(name).st_mode | 0o055)
                name = os.path.dirname(name)
        rows.check("a member of the group", ask_as(as_user(NOBODY, group.gr_gid), place, change, read) == ["200", "200"])
        rows.check("who has it besides others", ask_as(as_user(NOBODY, NOBODY, 7, group.gr_gid), place, change, read) == ["200", "200"])
        rows.check("a stranger is kept out by its mode", ask_as(as_user(NOBODY, NOBODY), place, change, read) == ["PermissionError"] * 2)
        os.chmod(place, 0o666)
        rows.check("a stranger who is let in may read", ask_as(as_user(NOBODY, NOBODY), place, change, read) == ["403", "200"])
        change_with_token = [*change[:3], {**change[3], **bearer(token_of(cache))}]
        rows.check("and change with the token", ask_as(as_user(NOBODY, NOBODY), place, change_with_token) == ["200"])
        rows.check("both places are one server", ask(tcp(cache), "GET", "/api/v1/status")[0] == 200)
        rows.check("the log names who", "by user 0: 200" in cache.log() and f"by user {NOBODY}: 200" in cache.log())
        cache.stop()
        rows.check("taken away at the end", not os.path.exists(place))
        cache.start()


def test_a_dead_servers_socket_is_taken_over_and_a_live_ones_is_not(make_cache, upstream, directory):
    place = f"{directory}/admin.sock"
    cache = make_cache(upstream, server={"admin_too": [f"unix:{place}"]})
    cache.kill()
    assert os.path.exists(place), "kill -9 leaves the name"
    cache.start()
    assert ask(UnixConnection(place), "GET", "/readyz")[0] == 200
    arguments = ["--config", "/dev/null", "--store", f"{directory}/second", "--listen", f"127.0.0.1:{free_port()}", "--admin", f"unix:{place}"]
    second = subprocess.run([BINARY, "serve", *arguments], capture_output=True, text=True, timeout=30, preexec_fn=die_with_parent, check=False)
    assert second.returncode == 1 and f"unix:{place}: another server is listening there" in second.stderr, (second.returncode, second.stderr)
    assert ask(UnixConnection(place), "GET", "/readyz")[0] == 200, "the refused one took the name away"
    with open(f"{directory}/file", "w", encoding="utf-8") as file:
        file.write("precious")
    arguments[-1] = f"unix:{directory}/file"
    third = subprocess.run([BINARY, "serve", *arguments], capture_output=True, text=True, timeout=30, preexec_fn=die_with_parent, check=False)
    assert third.returncode == 1 and "no socket" in third.stderr and os.path.getsize(f"{directory}/file") == 8


def test_another_machine_needs_the_token_for_everything_but_health(make_cache, upstream):
    """The other machine is a network namespace behind a pair of virtual interfaces."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        skip("makes a network namespace, for which it must be root and have ip(8)")
    network = f"198.18.{os.getpid() % 256}"
    name, here, there = f"door{os.getpid()}", f"{network}.1", f"{network}.2"
    commands = [["ip", "netns", "add", name], ["ip", "link", "add", f"v{os.getpid()}a", "type", "veth", "peer", "name", f"v{os.getpid()}b"],
                ["ip", "link", "set", f"v{os.getpid()}b", "netns", name], ["ip", "addr", "add", f"{here}/30", "dev", f"v{os.getpid()}a"],
                ["ip", "link", "set", f"v{os.getpid()}a", "up"], ["ip", "-n", name, "addr", "add", f"{there}/30", "dev", f"v{os.getpid()}b"],
                ["ip", "-n", name, "link", "set", f"v{os.getpid()}b", "up"]]
    try:
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                skip(f"{' '.join(command)}: {done.stderr.strip()}")
        port = free_port()
        cache = make_cache(upstream, server={"admin_too": [f"{here}:{port}"]})
        token = token_of(cache)

        def status(path, *more):
            done = subprocess.run(["ip", "netns", "exec", name, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20", *more, f"http://{here}:{port}{path}"],
                                  capture_output=True, text=True, check=False)
            return done.stdout

        with Rows() as rows:
            authorised = ["-H", f"Authorization: Bearer {token}"]
            for page in ("/healthz", "/readyz"):
                rows.check(f"{page} is open", status(page) == "200")
            for page in ("/metrics", "/api/v1/status", "/api/v1/cache-rules", "/api/v1/no-such-thing", "/"):
                rows.check(f"{page} without the token", status(page) == "401", status(page))
                rows.check(f"{page} with a wrong one", status(page, "-H", "Authorization: Bearer " + "x" * 43) == "401")
            rows.check("/metrics with it", status("/metrics", *authorised) == "200")
            rows.check("and by a name, with it", status("/metrics", *authorised, "-H", "Host: cache.corp.example") == "200")
            rows.check("but not by a name without it", status("/healthz", "-H", "Host: cache.corp.example") == "403")
            body = ["-X", "PUT", "-H", "Content-Type: application/json", "-H", "If-None-Match: *", "-d", json.dumps(BODY)]
            rows.check("a change without it", status(RULE, *body) == "401")
            rows.check("a change with it", status(RULE, *body, *authorised) == "201")
            rows.check("this machine by that address is another one too", ask(http.client.HTTPConnection(here, port, timeout=20), "GET", "/api/v1/status")[0] == 401)
            rows.check("and by loopback it is not", ask(tcp(cache), "GET", "/api/v1/status")[0] == 200)
    finally:
        for command in (["ip", "netns", "del", name], ["ip", "link", "del", f"v{os.getpid()}a"]):
            subprocess.run(command, capture_output=True, check=False)

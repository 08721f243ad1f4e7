"""The load client, entrepot-load, behind five verbs: once, loop, probe, hold, tls_loop. Nothing else here knows which program asks.

Answers are dictionaries. All have `statuses` {code: count} and `errors` {why: count} as the client printed them; further:
  once      first_byte_s {min p50 p90 p99 ...}, last_done_s, body_bytes, server_cpu_s, client_cpu_s
  loop      requests_per_s, gb_per_s, body_bytes, latency_s {...}, server_cpu_s, server_cpu_us_per_request, wall_s, client_cpu_s
  probe     latency_s {...} counted from the moment each request was due
Every answer must be complete, of exactly its announced length and below status 300, or RuntimeError is raised.
"""
import json
import os
import re
import signal
import subprocess
import tempfile
import time

import machine

TIMEOUT_S = 180
HELD_WITHIN_S = 20


class Load:
    def __init__(self, program):
        self.program = program

    def once(self, urls, clients=None, verify=0, servers=(), headers=(), deadline_s=120):
        """Everybody asks once at the same moment; URLs are dealt in turn. The first `verify` clients check the SHA-256."""
        words = ["--at-once", "--connections", clients or len(urls), "--duration", f"{deadline_s}s", "--timeout", f"{deadline_s}s"]
        words += ["--verify", "--verify-clients", verify] if verify else []
        return self._run(urls, words + _headers(headers) + _billed(servers))

    def loop(self, urls, connections, seconds, keepalive=True, servers=(), headers=(), warmup=0.5, sleeps=True):
        """Every connection asks again as soon as it has its answer; CPU and rates are of the time after the warm-up. A client that does
        not sleep need not be woken, which is billed to the server."""
        words = ["--connections", connections, "--duration", f"{int(seconds * 1e3)}ms", "--warmup", f"{int(warmup * 1e3)}ms"]
        words += [] if keepalive else ["--no-keepalive"]
        words += [] if sleeps else ["--busy-poll"]
        return self._run(urls, words + _headers(headers) + _billed(servers))

    def probe(self, url, rate=2000, connections=256, seconds=60, headers=()):
        """A running probe as independent users feel it; `.finish()` ends it and answers."""
        return Probe(self, ["--rate", rate, "--connections", connections, "--realtime", "--duration", f"{seconds}s", *_headers(headers), url])

    def hold(self, url, connections, headers=()):
        """Connections that asked once and stay idle, or None when the server does not take as many. `.finish()` ends them."""
        process = self._start(["--idle", connections, "--duration", "60s", *_headers(headers), url])
        port = int(re.search(r":(\d+)/", url)[1])
        end = time.monotonic() + HELD_WITHIN_S
        while time.monotonic() < end and process.poll() is None:
            if machine.connections_to(port) >= connections:
                return Held(self, process, connections)
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        return None

    def tls_loop(self, url, connections, seconds, keepalive, servers, headers=()):
        """The same as loop() over TLS. The client is wrk with OpenSSL, on its core; it decrypts, and checks no certificate."""
        words = ["wrk", "-t1", f"-c{connections}", "--latency", *([] if keepalive else ["-H", "Connection: close"])]
        words += [word for header in headers for word in ("-H", header)]
        pids = [pid for server in servers for pid in server.pids]
        _wrk([*words, "-d1s", url])
        before = machine.cpu_seconds(pids)
        result = _wrk([*words, f"-d{seconds}s", url])
        used = machine.cpu_seconds(pids) - before
        return result | {"server_cpu_s": used, "server_cpu_us_per_request": used * 1e6 / result["requests"], "wall_s": seconds}

    def _start(self, words):
        return subprocess.Popen([self.program, "--json", "--quiet", "--as-url", *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, preexec_fn=machine.on_cpu(machine.CLIENT_CPU))

    def _finish(self, process):
        try:
            output, errors = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise RuntimeError(f"the load client did not end within {TIMEOUT_S} s") from None
        if not output.strip():
            raise RuntimeError(f"the load client printed nothing (status {process.returncode}): {errors.strip()[-200:]}")
        result = json.loads(output)
        if result["failed"] or any(int(status) >= 300 for status in result["statuses"]):
            raise RuntimeError(f"not every answer was complete: {result['statuses']} {result['errors']}")
        billed = result["server"] or {}
        return result | {"body_bytes": result["bytes"], "gb_per_s": result["bytes_per_s"] / 1e9, "latency_s": result["whole_s"],
                         "last_done_s": result["last_ended_s"], "wall_s": result["window_s"], "server_cpu_s": billed.get("cpu_s"),
                         "server_cpu_us_per_request": billed.get("cpu_us_per_request")}

    def _run(self, urls, words):
        if len(urls) <= 16:
            return self._finish(self._start([*words, *urls]))
        with tempfile.NamedTemporaryFile("w", suffix=".urls") as file:
            file.write("\n".join(urls) + "\n")
            file.flush()
            return self._finish(self._start([*words, "--mix", file.name]))


class Probe:
    WARMUP_S = 0.6

    def __init__(self, load, words):
        self.load, self.process = load, load._start(words)
        time.sleep(self.WARMUP_S)

    def finish(self):
        self.process.send_signal(signal.SIGINT)
        return self.load._finish(self.process)


class Held:
    def __init__(self, load, process, connections):
        self.load, self.process, self.connections = load, process, connections

    def finish(self):
        self.process.send_signal(signal.SIGINT)
        idle = self.load._finish(self.process)["idle"]
        if idle["held"] != self.connections or idle["ended_by_server"]:
            raise RuntimeError(f"of {self.connections} idle connections {idle['held']} were answered and {idle['ended_by_server']} ended by the server")


def _headers(headers):
    return [word for header in headers for word in ("--header", header)]


def _billed(servers):
    return [word for server in servers for pid in server.pids for word in ("--server-pid", pid)]


def _wrk(words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, preexec_fn=machine.on_cpu(machine.CLIENT_CPU))
    counted = re.search(r"(\d+) requests in ([\d.]+)(m?s|m), ([\d.]+)([KMGT]?B) read", done.stdout)
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
    if not counted or not slowest or "Non-2xx" in done.stdout:
        raise RuntimeError(f"wrk: {done.stdout[-300:]}{done.stderr[-200:]}")
    if errors := re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", done.stdout):
        # A server that closes after each answer is counted as a read error by wrk, also when the answer was complete.
        if int(errors[1]) or int(errors[3]) or int(errors[4]):
            raise RuntimeError(f"wrk: {errors[0]}")
    if not int(counted[1]):
        raise RuntimeError("wrk: not one answer was complete in time")
    requests, seconds = int(counted[1]), float(counted[2]) * {"ms": 1e-3, "s": 1, "m": 60}[counted[3]]
    body = float(counted[4]) * {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}[counted[5]]
    return {"requests": requests, "requests_per_s": requests / seconds, "body_bytes": body, "gb_per_s": body / 1e9 / seconds,
            "latency_s": {"p99": float(slowest[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1}[slowest[2]]}}

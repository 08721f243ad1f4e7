"""Hot content over TLS, one suite for everyone."""
import os
import subprocess

import ceilings
from bench import MIB
from result import Figure
from rows import row
from rows.hot import hot_manifest

ACCEPT = ["Accept: application/vnd.oci.image.manifest.v1+json"]  # wrk sends one field of a name
SPEAK_TLS = ("entrepot", "nginx", "trafficserver", "registry")


def certificate(bench):
    """A self-signed P-256 certificate for loopback: (certificate, key)."""
    paths = os.path.join(bench.work, "tls.crt"), os.path.join(bench.work, "tls.key")
    if not all(map(os.path.exists, paths)):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", "/CN=127.0.0.1",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
        os.chmod(paths[1], 0o644)  # Traffic Server is not root; a key that is worth nothing
    return paths


@row("hot-tls", "Hot content over TLS")
def hot_tls(bench):
    """TLS 1.2, ECDHE-ECDSA-AES128-GCM-SHA256, P-256, no resumption: 8 MiB blobs on 8 connections, 2 KiB manifests on 64 kept
    connections, and the same with a full handshake for each request. The client decrypts, so that it and the server share the
    work; CPU seconds of the server are the figure."""
    blob, manifest = bench.corpus.blob("tls", 8 * MIB), hot_manifest(bench)
    seconds = 1 if bench.quick else 2
    with bench.warm(bench.among(*SPEAK_TLS), [("blobs", blob), ("manifests", manifest)], tls=certificate(bench)) as servers:
        def measure(name):
            server = servers[name]
            large = bench.load.tls_loop(server.url("blobs", blob), 8, seconds, True, [server])
            small = bench.load.tls_loop(server.url("manifests", manifest), 64, seconds, True, [server], ACCEPT)
            fresh = bench.load.tls_loop(server.url("manifests", manifest), 16, seconds, False, [server], ACCEPT)
            return {"large_cpu": large["server_cpu_s"] / (large["body_bytes"] / 1e9), "large_rate": large["gb_per_s"],
                    "small_cpu": small["server_cpu_us_per_request"], "fresh_cpu": fresh["server_cpu_us_per_request"], "fresh_rate": fresh["requests_per_s"]}
        seen = bench.interleave("hot-tls", list(servers), measure)
    speed = bench.ceiling("openssl", ceilings.openssl_speed, "aes-128-gcm", 16384)
    handshake = bench.ceiling("openssl", ceilings.openssl_sign_us)
    repetitions = seen.repetitions
    return [
        Figure("hot-tls", "large: server CPU", "s/GB", seen.of("large_cpu") | {"openssl": [1 / speed if speed else None] * repetitions}, "less", ceiling="openssl",
               note="The ceiling is `openssl speed` of AES-128-GCM in 16 KiB records alone, without a byte sent."),
        Figure("hot-tls", "large: throughput", "GB/s", seen.of("large_rate"), "more"),
        Figure("hot-tls", "small, kept connections: server CPU per request", "us", seen.of("small_cpu"), "less"),
        Figure("hot-tls", "small, a handshake each: server CPU per request", "us", seen.of("fresh_cpu") | {"openssl": [handshake] * repetitions}, "less",
               ceiling="openssl", note="The ceiling is one ECDSA P-256 signature and one ECDH of `openssl speed`."),
        Figure("hot-tls", "small, a handshake each: requests", "1/s", seen.of("fresh_rate"), "more"),
    ]

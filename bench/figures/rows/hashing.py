"""What digests and memory cost on this core: the scale of other rows."""
import os
import subprocess

import ceilings
import machine
from bench import Readings
from result import Bound, Figure
from rows import row

ENGINES = ("entrepot sha-ni", "entrepot mbedtls", "openssl evp")


@row("hashing", "Digests and memory")
def hashing(bench):
    """SHA-256 in buffers of 256 KiB on the server's core, ours and OpenSSL's in one program (bench/sha256_bench); memcpy of 256
    MiB."""
    binary = os.path.join(bench.tools, "sha256_bench")
    if not os.path.exists(binary):
        return []
    seen = Readings()
    for _ in bench.repeat("hashing"):
        seen.repetitions += 1
        rates = rates_of(binary)
        openssl = rates.pop("openssl evp", None)
        seen.put("entrepot", rate=max(rates.values()))
        seen.put("openssl", rate=openssl)
        seen.put("memcpy", copy=bench.ceiling("memcpy", ceilings.memcpy_gb_per_s, bench.tools))
    limit = [Bound(">= 0.95 x OpenSSL", above=0.95, against="openssl")]
    return [Figure("hashing", "SHA-256, streaming", "GB/s", seen.of("rate"), "more", limit, ceiling="openssl"),
            Figure("hashing", "memcpy", "GB/s", seen.of("copy"))]


def rates_of(binary):
    output = subprocess.run([binary, "262144", "21"], capture_output=True, text=True, timeout=120, preexec_fn=machine.on_cpu(machine.SERVER_CPU)).stdout
    rates = {}
    for line in output.splitlines():
        if name := next((name for name in ENGINES if line.startswith(name)), None):
            rates[name] = float(line[len(name):].split()[0])
    return rates

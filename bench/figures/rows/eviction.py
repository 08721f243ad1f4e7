"""Which eviction keeps what is asked for again."""
import os
import re
import subprocess

import machine
from result import Figure
from rows import row

POLICIES = {"entrepot": "entrepot", "LRU": "lru", "SIEVE": "sieve", "S3-FIFO": "s3-fifo"}


@row("eviction", "Eviction under a Zipf trace")
def eviction(bench):
    """bench/eviction_bench: the server's own eviction beside LRU, SIEVE and S3-FIFO in the same harness, on 36 made-up traces
    (Zipf 0.7, 0.9 and 1.1, 0 to 50 % of scans, room for 1 to 25 % of the catalogue). Each value is one trace; ratios are of the
    same trace. Upstream bytes are those that missed."""
    program = os.path.join(bench.tools, "eviction_bench")
    if not os.path.exists(program):
        return []
    bench.say("eviction: 36 traces")
    output = subprocess.run([program, "50000" if bench.quick else "1000000"], capture_output=True, text=True, timeout=1200, check=True,
                            preexec_fn=machine.on_cpu(machine.SERVER_CPU)).stdout
    objects, missed = {}, {}
    for name, object_hits, byte_hits in re.findall(r"^\s+(\S.*?)\s+([01]\.\d{4})\s+([01]\.\d{4})\s", output, re.MULTILINE):
        if name in POLICIES:
            objects.setdefault(POLICIES[name], []).append(float(object_hits))
            missed.setdefault(POLICIES[name], []).append(1 - float(byte_hits))
    if len(objects.get("entrepot", [])) != 36:
        raise RuntimeError(f"eviction_bench printed {len(objects.get('entrepot', []))} traces of 36")
    return [Figure("eviction", "object hits", "share", objects, "more"), Figure("eviction", "upstream bytes", "share", missed, "less")]

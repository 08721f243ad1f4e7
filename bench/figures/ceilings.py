"""What the machine itself gives, measured in the same run on the server's core: OpenSSL, fio, memcpy. Each answer is in the
unit of its row."""
import json
import os
import re
import subprocess
import tempfile

import machine


def _on_server_core(words, timeout_s=180):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout_s, preexec_fn=machine.on_cpu(machine.SERVER_CPU))
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]}: {done.stderr.strip()[-300:]}")
    return done.stdout


def openssl_speed(algorithm, block):
    """GB/s of one core."""
    output = _on_server_core(["openssl", "speed", "-elapsed", "-seconds", 1, "-bytes", block, "-evp", algorithm])
    rates = re.findall(r"([\d.]+)k\s*$", output, re.MULTILINE)
    if not rates:
        raise RuntimeError(f"openssl speed {algorithm} printed no rate")
    return float(rates[-1]) * 1000 / 1e9


def openssl_sign_us():
    """Microseconds of one ECDSA P-256 signature and one ECDH P-256: what a full handshake cannot do without."""
    sign = _on_server_core(["openssl", "speed", "-elapsed", "-seconds", 1, "ecdsap256"])
    share = _on_server_core(["openssl", "speed", "-elapsed", "-seconds", 1, "ecdhp256"])
    signatures = float(re.search(r"nistp256\)\s+[\d.]+s\s+[\d.]+s\s+([\d.]+)", sign)[1])
    agreements = float(re.search(r"nistp256\)\s+[\d.]+s\s+([\d.]+)", share)[1])
    return 1e6 / signatures + 1e6 / agreements


def memcpy_gb_per_s(tools):
    return json.loads(_on_server_core([os.path.join(tools, "memory_ceiling"), 5]))["memcpy_gb_per_s"]


def _fio(words):
    report = json.loads(_on_server_core(["fio", "--output-format=json", "--ioengine=io_uring", "--direct=1", "--thread", *words]))
    return report["jobs"][0]


def fio_read(paths, block, depth):
    """GB/s of O_DIRECT reads of all these files, many at once. Page cache of them should be empty."""
    size = sum(os.path.getsize(path) for path in paths)
    with tempfile.TemporaryDirectory() as folder:  # fio's list of names is bounded: short links instead of digests
        for index, path in enumerate(paths):
            os.symlink(path, os.path.join(folder, str(index)))
        job = _fio(["--name=read", "--rw=read", "--readonly", f"--directory={folder}", f"--filename={':'.join(map(str, range(len(paths))))}",
                    f"--bs={block}", f"--iodepth={depth}", "--file_service_type=roundrobin:1", f"--size={size}"])
    return job["read"]["bw_bytes"] / 1e9


def fio_write(folder, size, block, depth):
    """GB/s of O_DIRECT writes of a new file, its end included."""
    path = os.path.join(folder, "fio.write")
    try:
        job = _fio(["--name=write", "--rw=write", f"--filename={path}", f"--bs={block}", f"--iodepth={depth}", f"--size={size}", "--end_fsync=1"])
        return job["write"]["bw_bytes"] / 1e9
    finally:
        if os.path.exists(path):
            os.remove(path)

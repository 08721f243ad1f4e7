"""A process's own view of the file systems, and whether one can be had."""
import ctypes
import os
import subprocess

CLONE_NEWNS = 0x00020000


def run(*command):
    """(whether it succeeded, what it said)."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        return False, f"there is no {command[0]}"
    return done.returncode == 0, (done.stderr or done.stdout).strip()


def root_refused():
    """Why nobody who makes mounts of his own can work here, or None. Docker and podman do, to unpack a layer."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        is_mount = any(line.split()[4] == "/" for line in file)
    return None if is_mount else "/ is no mount (a plain chroot): nobody can have mounts of his own"


def own_mounts():
    """What this process mounts from here on is seen by it and its children only, and goes with the last of them."""
    if refused := root_refused():
        return False, refused
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        return False, f"no mounts of one's own: {os.strerror(ctypes.get_errno())}"
    return run("mount", "--make-rprivate", "/")

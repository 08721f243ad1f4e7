"""The command line as somebody uses it: the same binary, asking the admin address of a cache."""
import dataclasses
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time

from .cache import BINARY
from .service import die_with_parent

TIMEOUT_S = 60
QUIET = {"LC_ALL": "C.UTF-8"}


@dataclasses.dataclass
class Done:
    status: int
    out: str
    err: str

    def json(self):
        return json.loads(self.out)

    def rows(self):
        """Of a table: its lines as lists of cells. (No cell of ours has two blanks in it.)"""
        return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in self.out.splitlines()]


def environment_of(cache, **more):
    """What lets a command reach this cache over TCP and change it; None takes a variable away."""
    found = {key: value for key, value in os.environ.items() if not key.startswith("ENTREPOT_")}
    if cache:
        found["ENTREPOT_ADMIN"] = f"127.0.0.1:{cache.admin_port}"
    if cache and os.path.exists(f"{cache.store}/admin.token"):
        found["ENTREPOT_TOKEN_FILE"] = f"{cache.store}/admin.token"
    found.update(QUIET)
    found.update(more)
    return {key: value for key, value in found.items() if value is not None}


def entrepot(cache, *words, stdin="", environment=None, timeout=TIMEOUT_S, **options):
    """Runs `entrepot words...` without a terminal."""
    done = subprocess.run([BINARY, *words], input=stdin, capture_output=True, text=True, timeout=timeout, check=False, preexec_fn=die_with_parent,
                          env=environment_of(cache, **(environment or {})), **options)
    return Done(done.returncode, done.stdout, done.stderr)


def succeeds(cache, *words, **options):
    done = entrepot(cache, *words, **options)
    assert done.status == 0, (words, done.status, done.err)
    return done


def fails(cache, *words, status=1, **options):
    """It must end so, with one line that says why and nothing on standard output. Returns that line."""
    done = entrepot(cache, *words, **options)
    assert done.status == status, (words, done)
    assert one_line(done.err) and done.err.startswith("entrepot: "), (words, done.err)
    assert not done.out, (words, done.out)
    return done.err.rstrip("\n")


def one_line(text):
    return text.endswith("\n") and text.count("\n") == 1 and "terminate called" not in text


class OnTerminal:
    """`entrepot words...` on a terminal of its own: everything it shows stands in `shown`."""

    def __init__(self, cache, *words, columns=80, environment=None):
        self.shown = ""
        self.status = None
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            die_with_parent()
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.execve(BINARY, [BINARY, *words], environment_of(cache, **(environment or {})))

    def types(self, text):
        os.write(self.terminal, text.encode())
        return self

    def until(self, text, timeout=10):
        """Reads until this is shown."""
        end = time.monotonic() + timeout
        while text not in self.shown:
            assert self._read(end), f"'{text}' was not shown: {self.shown!r}"
        return self

    def echoes(self):
        return bool(termios.tcgetattr(self.terminal)[3] & termios.ECHO)

    def until_silent(self, timeout=10):
        end = time.monotonic() + timeout
        while self.echoes():
            assert time.monotonic() < end, "the echo stays on"
            time.sleep(0.01)
        return self

    def ends(self, timeout=20):
        end = time.monotonic() + timeout
        while self._read(end):
            pass
        _, status = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        os.close(self.terminal)
        return self

    def _read(self, end):
        ready, _, _ = select.select([self.terminal], [], [], max(0, end - time.monotonic()))
        assert ready, f"nothing more is shown: {self.shown!r}"
        try:
            data = os.read(self.terminal, 65536)
        except OSError:         # the last end of the terminal is closed
            return False
        self.shown += data.decode("utf-8", "replace")
        return bool(data)

"""A child process that is started, watched and ended with us: every server, upstream and helper of a run."""
import os
import signal
import socket
import subprocess
import time

import machine

START_TIMEOUT_S = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, what, log=None):
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended at once with status {process.returncode}: {last_words(log)}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"{what} does not answer on port {port}: {last_words(log)}")


def last_words(log):
    try:
        with open(log, errors="replace") as file:
            return file.read()[-400:].strip() or "it said nothing"
    except (OSError, TypeError):
        return "no log"


def send(number, pids):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass  # it ended meanwhile


class Process:
    """`pids` are the processes whose CPU and memory count as this one's: itself and everything it started."""
    name = "process"
    end_signal = signal.SIGTERM
    end_tree = False  # whether the helpers get the signal too, as in a crash of the machine

    def spawn(self, command, cpus, log, environment=None, user=None):
        self.log_path = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=machine.on_cpu(*cpus, user=user),
                                            env=os.environ | (environment or {}))

    @property
    def pids(self):
        return machine.tree_of(self.process.pid)

    def stop(self):
        if self.process.poll() is not None:
            return
        tree = self.pids
        send(self.end_signal, reversed(tree) if self.end_tree else tree[:1])
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            send(signal.SIGKILL, tree)  # a helper that outlives its parent would keep the core busy in the next measurement
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

#!/usr/bin/python3
"""run.py [WORD...] [--jobs N] [--list] [--in DIR]: tells the scenarios whose names contain all the words.

A scenario is a function test_* in a file *_test.py here; its parameters name the fixtures it gets (harness/story.py). Each runs
in a process of its own with a time limit, a few at once; the process ends with everything it started.
The last line is "N passed, N failed, N skipped"; the exit status is 0 if none failed.
"""
import argparse
import glob
import importlib.util
import inspect
import multiprocessing
import multiprocessing.connection
import os
import signal
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from harness.registry import fill_storage, missing, storage_is_filled  # noqa: E402 (the path must be set first)
from harness.story import Skip, Story  # noqa: E402

LIMIT_S = 90            # for a scenario that names no limit of its own (`limit_s` attribute)
JOBS = max(2, (os.cpu_count() or 2))


def load(directory):
    """[(name, function)] in the order of the files and of the lines in them."""
    found = []
    for path in sorted(glob.glob(f"{directory}/*_test.py")):
        stem = os.path.basename(path)[:-len("_test.py")]
        spec = importlib.util.spec_from_file_location(f"scenario_{stem}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        tests = [(name, value) for name, value in vars(module).items() if name.startswith("test_") and callable(value)]
        found += [(f"{stem}: {name[len('test_'):].replace('_', ' ')}", function) for name, function in tests]
    return found


def tell(function, pipe):
    """In the scenario's own process. Sends (outcome, text)."""
    os.setpgid(0, 0)

    def out_of_time(*_):
        raise TimeoutError("the scenario ran out of time")

    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(getattr(function, "limit_s", LIMIT_S))
    try:
        Story().run(function)
        outcome = ("passed", "")
    except Skip as reason:
        outcome = ("skipped", str(reason))
    except BaseException as error:      # also an assertion in a thread's shadow and the alarm
        outcome = ("failed", "".join(traceback.format_exception(error, limit=-6)))
    pipe.send(outcome)
    pipe.close()
    os._exit(0)         # scripted upstreams may still have threads that wait


class Running:
    def __init__(self, name, function):
        self.name = name
        self.limit_s = getattr(function, "limit_s", LIMIT_S) + 30
        self.started = time.monotonic()
        self.pipe, theirs = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.Process(target=tell, args=(function, theirs))
        self.process.start()
        theirs.close()

    def outcome(self):
        """(outcome, text) when it has ended, else None."""
        if self.pipe.poll():
            try:
                found = self.pipe.recv()
            except EOFError:
                found = ("failed", "the scenario's process died")
            self.process.join()
            return found
        if time.monotonic() - self.started > self.limit_s:
            self.process.kill()
            self.process.join()
            return ("failed", "the scenario hung and was killed")
        return None


def run(scenarios, jobs):
    waiting = list(scenarios)
    running = []
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    while waiting or running:
        # Scenarios that say `alone` measure something; nothing runs beside them.
        while waiting and len(running) < jobs and not any(one.alone for one in running):
            alone = getattr(waiting[0][1], "alone", False)
            if alone and running:
                break
            one = Running(*waiting.pop(0))
            one.alone = alone
            running.append(one)
        multiprocessing.connection.wait([one.pipe for one in running], timeout=0.5)
        for one in list(running):
            ended = one.outcome()
            if ended:
                running.remove(one)
                counts[ended[0]] += 1
                report(one, *ended)
    return counts


def report(one, outcome, text):
    took = time.monotonic() - one.started
    mark = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}[outcome]
    print(f"{mark} {one.name:<100.100} {took:6.1f} s", flush=True)
    if text:
        print("".join(f"       {line}\n" for line in text.rstrip().splitlines()), end="", flush=True)


def prepare(scenarios):
    """What several scenarios need and none has the time for. False when it failed; they will fail as well, and say so one by one."""
    wanted = any({"registry", "make_registry"} & set(inspect.signature(function).parameters) for _, function in scenarios)
    if not wanted or missing("docker-registry") or storage_is_filled():
        return True
    started = time.monotonic()
    print("     building the images that real registries will hold ...", flush=True)
    try:
        fill_storage()
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        print(f"FAIL images: {error}", flush=True)
        return False
    print(f"     the images were built in {time.monotonic() - started:.1f} s", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--in", dest="directory", default=HERE, help="another directory of *_test.py files")
    arguments = parser.parse_args()
    chosen = [(name, function) for name, function in load(os.path.abspath(arguments.directory))
              if all(word in name for word in arguments.words)]
    if arguments.list:
        print("\n".join(name for name, _ in chosen))
        return 0
    prepared = prepare(chosen)
    counts = run(chosen, arguments.jobs)
    counts["failed"] += not prepared
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    sys.exit(main())

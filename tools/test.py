"""Runs the parts of the test suite and adds up what they say; tools/test installs and builds before it starts this."""
import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = f"{ROOT}/build"
FUZZ_SECONDS = 30
SEEDS = 500
SCENARIO_JOBS = 2 * (os.cpu_count() or 2)      # scenarios mostly wait, for each other's deadlines and for scripted slowness
UNIT_SHARES = 2 * (os.cpu_count() or 2)        # unit tests as well: every third second goes into time-outs
PART_TIMEOUT_S = 900
ASIDE = ["nice", "-n", "10"]                    # beside tests that have time limits


class Counts:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def say(text=""):
    print(text, flush=True)


def failed(text):
    say(f"FAIL {text}")
    return Counts(failed=1)


def skipped(text):
    say(f"skip {text}")
    return Counts(skipped=1)


def run(arguments, timeout=PART_TIMEOUT_S, **options):
    """Returns (exit status, output); a program that hangs is ended and counts as failed."""
    try:
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=timeout, cwd=ROOT, check=False, **options)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        text = late.stdout or b""
        return 124, (text if isinstance(text, str) else text.decode("utf-8", "replace")) + f"\nended after {timeout} s"


# ---- unit tests and simulator: doctest programs

def doctest(program, shares=1):
    """Each test case counts; with several shares, as many processes at once split the cases among them."""
    if not os.path.exists(program):
        return failed(f"{program} was not built")
    name = os.path.basename(program)
    started = time.monotonic()
    status, output = run([program, "--no-colors", "--count"])
    cases = re.search(r"\[doctest\] unskipped test cases[^:]*:\s*(\d+)", output)
    if status or not cases:
        say(output[-4000:])
        return failed(f"{name}: ended with status {status} and did not count its cases")
    total = int(cases[1])
    bounds = [total * share // shares for share in range(shares + 1)]
    with concurrent.futures.ThreadPoolExecutor(shares) as pool:
        failures = sum(pool.map(doctest_share, [program] * shares, bounds, bounds[1:], [total] * shares))
    counts = Counts(passed=max(0, total - failures), failed=failures)
    say(f"{'FAIL' if failures else 'ok  '} {name}: {counts} in {time.monotonic() - started:.1f} s")
    return counts


def doctest_share(program, after, last, total):
    """How many of the cases after+1 to last failed. doctest's sum speaks of all cases, also of those it was told to leave out; a smaller
    sum means that it came to an end in the middle, and those it did not reach have failed too."""
    status, output = run([program, "--no-colors", f"--first={after + 1}", f"--last={last}"])
    summary = re.search(r"\[doctest\] test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed", output)
    failures = int(summary[3]) + max(0, last - max(after, int(summary[1]))) if summary else last - after
    if summary and int(summary[1]) == total and not status:
        return failures
    say(output[-8000:])
    say(f"     {os.path.basename(program)} ended with status {status} in cases {after + 1} to {last}")
    return max(1, failures)


def unit():
    return doctest(f"{BUILD}/tests/unit/unit_tests", UNIT_SHARES)


def sim():
    """The simulated kernel's own proof, then whole boxes under seeds."""
    counts = Counts()
    for name in ("kernel_real_tests", "kernel_sim_tests"):
        counts.add(doctest(f"{BUILD}/tests/sim/{name}"))
    counts.add(boxes(f"{BUILD}/tests/sim/sim_tests"))
    return counts


def boxes(program):
    """All seeds together are one test that passed, or as many that failed as seeds did."""
    if not os.path.exists(program):
        return failed(f"{program} was not built")
    started = time.monotonic()
    status, output = run([program, "--seeds", str(SEEDS)])
    summary = re.search(r"simulation: (\d+) seeds passed, (\d+) failed", output)
    good = summary and not status and int(summary[1]) >= SEEDS
    if good:
        say(f"ok   sim_tests: {summary[1]} seeds in {time.monotonic() - started:.1f} s")
        return Counts(passed=1)
    say(output[-8000:])
    say(f"FAIL sim_tests: {summary[0] if summary else 'no summary'}, status {status}")
    return Counts(failed=max(1, int(summary[2]) if summary else 1))


# ---- fuzz targets

def clang():
    return next((path for path in map(shutil.which, ("clang++", "clang++-19", "clang++-16", "clang++-15", "clang++-14")) if path), None)


def fuzz_targets():
    return sorted(glob.glob(f"{ROOT}/tests/fuzz/*_fuzz.cpp"))


def build_fuzz():
    """Each tests/fuzz/NAME_fuzz.cpp with clang's sanitizers. Returns what went wrong, or nothing."""
    compiler = clang()
    if not compiler:
        return ""
    os.makedirs(f"{BUILD}/fuzz", exist_ok=True)
    write_fuzz_ninja(f"{BUILD}/fuzz/build.ninja", compiler, fuzz_targets())
    status, output = run([*ASIDE, "ninja", "-C", f"{BUILD}/fuzz"])
    return output if status else ""


def fuzz():
    """Lets each target run on its corpus, as many at once as there are cores."""
    targets = fuzz_targets()
    if not targets:
        return failed("there are no fuzz targets")
    if not clang():
        for target in targets:
            skipped(f"{os.path.basename(target)}: no clang on this machine")
        return Counts(skipped=len(targets))
    counts = Counts()
    with concurrent.futures.ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as pool:
        for one in pool.map(fuzz_one, targets):
            counts.add(one)
    return counts


def sources_behind(targets):
    """Of each header that a target or one of these sources includes, the sources that bear its name (url.cpp, sha256_ni.cpp). They do no I/O and know no coroutines, so clang 14
    is enough."""
    found, open_files, seen = set(), list(targets), set()
    while open_files:
        with open(open_files.pop(), encoding="utf-8") as file:
            names = re.findall(r'^#include "(?:entrepot/)?([^"]+)\.h"', file.read(), re.MULTILINE)
        for name in set(names) - seen:
            seen.add(name)
            open_files += filter(os.path.exists, (f"{ROOT}/include/entrepot/{name}.h", f"{ROOT}/src/{name}.h"))
            sources = glob.glob(f"{ROOT}/src/{name}.cpp") + glob.glob(f"{ROOT}/src/{name}_*.cpp")
            open_files += set(sources) - found
            found.update(sources)
    return sorted(found)


def write_fuzz_ninja(path, compiler, targets):
    """A build of its own: the same sources, with another compiler and with sanitizers."""
    sanitize = "address,undefined"
    sources = sources_behind(targets)
    lines = [f"flags = -std=c++20 -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=undefined -I{ROOT}/include -I{ROOT}/src",
             "rule compile", f"  command = {compiler} $flags -fsanitize=fuzzer-no-link,{sanitize} -MMD -MF $out.d -c $in -o $out", "  depfile = $out.d", "  deps = gcc",
             "rule archive", "  command = rm -f $out && ar rcs $out $in",
             "rule link", f"  command = {compiler} -fsanitize=fuzzer,{sanitize} $in -o $out -lfmt -lxxhash -lmbedcrypto -lpthread"]
    objects = []
    for source in sources + targets:
        name = os.path.relpath(source, ROOT).replace("/", "_")[:-4] + ".o"
        lines.append(f"build {name}: compile {source}")
        if source not in targets:
            objects.append(name)
        else:
            program = os.path.basename(source)[:-4]
            lines.append(f"build {program}: link {name} pure.a")
    lines += [f"build pure.a: archive {' '.join(objects)}", "default " + " ".join(os.path.basename(one)[:-4] for one in targets)]
    text = "\n".join(lines) + "\n"
    if not os.path.exists(path) or open(path, encoding="utf-8").read() != text:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def fuzz_one(target):
    name = os.path.basename(target)[:-len("_fuzz.cpp")]
    found, artifacts = f"{BUILD}/fuzz/found/{name}", f"{BUILD}/fuzz/crashes/"
    os.makedirs(found, exist_ok=True)
    os.makedirs(artifacts, exist_ok=True)
    corpus = f"{ROOT}/tests/fuzz/corpus/{name}"
    arguments = [*ASIDE, f"{BUILD}/fuzz/{name}_fuzz", f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1",
                 f"-artifact_prefix={artifacts}{name}-", found] + ([corpus] if os.path.isdir(corpus) else [])
    status, output = run(arguments, timeout=FUZZ_SECONDS + 60)
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    if status or not runs:
        say(output[-4000:])
        return failed(f"fuzz {name}: status {status}; the input is kept in {artifacts}")
    say(f"ok   fuzz {name}: {int(runs[1]):,} inputs in {FUZZ_SECONDS} s")
    return Counts(passed=1)


# ---- instruction counts of the hot paths

def instructions():
    """Counts and compares (bench/instructions); first, that this comparison can fail."""
    counts = Counts()
    status, output = run([sys.executable, "-B", f"{ROOT}/tests/bench/instructions_test.py"])
    summary = re.search(r"^Ran (\d+) test", output, re.MULTILINE)
    if status or not summary:
        say(output[-4000:])
        counts.add(failed("instructions: the comparison does not do what it promises"))
    else:
        counts.add(Counts(passed=int(summary[1])))
        say(f"ok   instructions: {summary[1]} tests of the comparison")
    status, output = run([sys.executable, "-B", f"{ROOT}/bench/instructions"])
    say(output.rstrip())
    if status == 77:
        counts.add(skipped("instructions: taken elsewhere, see above"))
    elif status:
        counts.add(failed("instructions: see above"))
    else:
        counts.add(Counts(passed=1))
    return counts


# ---- black box: scenarios and real clients

def stories(*options):
    """Lets the runner print as it goes, and takes its last line as the sum."""
    process = subprocess.Popen([sys.executable, "-B", f"{ROOT}/tests/scenario/run.py", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               text=True, errors="replace", cwd=ROOT)
    last = ""
    for line in process.stdout:
        last = line.strip()
        if not re.fullmatch(r"\d+ passed, \d+ failed, \d+ skipped", last):
            print(line, end="", flush=True)
    status = process.wait()
    sums = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped", last)
    if not sums:
        return failed(f"the scenario runner ended with status {status} and no sum")
    counts = Counts(*map(int, sums.groups()))
    say(f"     {counts}")
    return counts


def scenario():
    return stories("--jobs", str(SCENARIO_JOBS))


def clients():
    return stories("--in", f"{ROOT}/tests/clients", "--jobs", str(os.cpu_count() or 2))


# ---- what is built, and when

def build_tests():
    """What tools/build left out: unit tests, simulator, and the benchmark whose instructions are counted."""
    status, output = run([*ASIDE, "ninja", "-C", BUILD, "all", "bench/hot_paths"])
    return output if status else ""


class Meanwhile:
    """What goes on in the background: scenarios mostly wait, so the compiler has the cores nearly to itself; and so do unit tests, beside which the fuzzers run."""

    def __init__(self, builds, with_fuzz):
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.building = [self.pool.submit(one) for one in builds]
        self.fuzzing = self.pool.submit(fuzz) if with_fuzz else None

    def built(self):
        counts = Counts()
        for one in self.building:
            trouble = one.result()
            if trouble:
                say(trouble[-6000:])
                counts.add(failed("the tests were not built"))
        self.building = []
        return counts


PARTS = {"scenario": scenario, "unit": unit, "sim": sim, "instructions": instructions, "fuzz": fuzz, "clients": clients}
BUILDS = {"unit": build_tests, "sim": build_tests, "instructions": build_tests, "fuzz": build_fuzz}      # what a part needs beyond the programs


def main():
    parser = argparse.ArgumentParser(prog="test", description="Builds and passes all tests, or the parts that are named.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    arguments = parser.parse_args()
    for part in arguments.parts:
        if part not in PARTS:
            parser.error(f"there is no part '{part}'; there are: {' '.join(PARTS)}")
    chosen = [part for part in PARTS if not arguments.parts or part in arguments.parts]
    meanwhile = Meanwhile(dict.fromkeys(BUILDS[part] for part in chosen if part in BUILDS), "fuzz" in chosen)
    counts = Counts()
    for part in chosen:
        say(f"== {part}")
        started = time.monotonic()
        if part in BUILDS:
            counts.add(meanwhile.built())
        counts.add(meanwhile.fuzzing.result() if part == "fuzz" else PARTS[part]())
        say(f"     {part} took {time.monotonic() - started:.0f} s")
    say(str(counts))
    return 1 if counts.failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Starting and ending: what is missing is said in one line, nothing is left half started, and nothing needs a human afterwards."""
import errno
import os
import re
import resource
import signal
import socket
import subprocess
import time
import urllib.request

from harness.cache import BINARY
from harness.origin import free_port
from harness.service import LIBC, die_with_parent
from harness.story import Rows
from harness.system_call import system_call_fails
from resume_test import starts

PR_CAPBSET_DROP, CAP_IPC_LOCK = 24, 14
CACHESTAT = 451
IO_URING_SETUP, IO_URING_ENTER, IO_URING_REGISTER = 425, 426, 427
REGISTER_BUFFERS, REGISTER_PROBE, REGISTER_RESTRICTIONS, REGISTER_ENABLE, REGISTER_WORKERS, REGISTER_RING_FDS, REGISTER_RECEIVE_BUFFERS = 0, 8, 11, 12, 19, 20, 22


def locked_memory_at_most(size):
    """Root ignores RLIMIT_MEMLOCK as long as it has this capability."""
    def limit():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (size, size))
        LIBC.prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0)
    return limit


def serve(*arguments, in_child=die_with_parent, timeout=20):
    return subprocess.run([BINARY, "serve", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                          preexec_fn=in_child, check=False)


def one_line(text):
    return len(text.strip().splitlines()) == 1


def test_without_io_uring_one_line_says_what_to_enable(directory):
    """K08. Also a kernel that is too old in one thing: EINVAL is what it says to what it does not know."""
    rows = {"a container forbids it": (system_call_fails(IO_URING_SETUP, errno.EPERM), ("io_uring_setup: Operation not permitted", "io_uring_disabled", "seccomp")),
            "a container knows nothing of it": (system_call_fails(IO_URING_SETUP, errno.ENOSYS), ("Function not implemented", os.uname().release, "6.1", "seccomp")),
            "no memory": (system_call_fails(IO_URING_SETUP, errno.ENOMEM), ("no memory", "LimitMEMLOCK", "memory limit")),
            "no descriptor": (system_call_fails(IO_URING_SETUP, errno.EMFILE), ("no descriptor", "LimitNOFILE")),
            "a kernel that is too old": (system_call_fails(IO_URING_SETUP, errno.EINVAL), ("too old", os.uname().release, "6.1")),
            "only setup is allowed": (system_call_fails(IO_URING_REGISTER, errno.EPERM), ("io_uring_register", "seccomp")),
            "all but enter is allowed": (system_call_fails(IO_URING_ENTER, errno.EPERM), ("io_uring_enter: Operation not permitted", "seccomp")),
            "no probe": (system_call_fails(IO_URING_REGISTER, errno.EINVAL, second_argument=REGISTER_PROBE), ("too old", "probe", "6.1")),
            "no rings that start disabled": (system_call_fails(IO_URING_REGISTER, errno.EINVAL, second_argument=REGISTER_ENABLE), ("too old", "enable")),
            "no rings of buffers": (system_call_fails(IO_URING_REGISTER, errno.EINVAL, second_argument=REGISTER_RECEIVE_BUFFERS), ("too old", "receive buffers")),
            "no memory for rings of buffers": (system_call_fails(IO_URING_REGISTER, errno.ENOMEM, second_argument=REGISTER_RECEIVE_BUFFERS), ("no memory", "LimitMEMLOCK"))}
    with Rows() as table:
        for name, (forbid, words) in rows.items():
            done = serve("--config", "/dev/null", "--store", f"{directory}/store", "--listen", f"127.0.0.1:{free_port()}",
                         "--admin", f"127.0.0.1:{free_port()}", in_child=forbid)
            table.check(done.returncode == 1 and one_line(done.stderr), name, (done.returncode, done.stderr))
            table.check(all(word in done.stderr for word in words), f"{name}: what to do", done.stderr)


def test_what_is_only_better_with_it_is_done_without(make_cache, upstream):
    """K08: an allow-list for the ring, registered buffers, bounds for its workers, cachestat, a registered ring descriptor."""
    rows = {"no allow-list": (system_call_fails(IO_URING_REGISTER, errno.EINVAL, second_argument=REGISTER_RESTRICTIONS), "allow-list"),
            "no registered buffers": (system_call_fails(IO_URING_REGISTER, errno.ENOMEM, second_argument=REGISTER_BUFFERS), "buffers are not registered"),
            "no bound for workers": (system_call_fails(IO_URING_REGISTER, errno.EINVAL, second_argument=REGISTER_WORKERS), None),
            "no registered descriptors": (system_call_fails(IO_URING_REGISTER, errno.EINVAL, second_argument=REGISTER_RING_FDS), None),
            "no cachestat": (system_call_fails(CACHESTAT, errno.ENOSYS), None)}
    blob = upstream.offers("3MiB")
    with Rows() as table:
        for name, (forbid, word) in rows.items():
            cache = make_cache(upstream, limits=forbid)
            table.check(cache.get(blob).digest() == blob.digest, name, "cold")
            cache.keeps(blob)
            table.check(cache.get(blob).digest() == blob.digest, name, "stored")
            cache.restart()
            table.check(cache.get(blob).digest() == blob.digest, name, "after a restart")
            said = [line for line in cache.log().splitlines() if word and word in line]
            table.check(len(said) == (2 if word else 0), f"{name}: said once by each start", cache.log())


def test_with_little_locked_memory_it_serves_all_the_same(make_cache, upstream):
    """Enough for the rings, too little for registered buffers: a soft loss, said once."""
    cache = make_cache(upstream, limits=locked_memory_at_most(4 << 20))
    blob = upstream.offers("3MiB")
    assert cache.pull(blob).digest() == blob.digest
    cache.keeps(blob)
    assert cache.get(blob).digest() == blob.digest
    said = [line for line in cache.log().splitlines() if "memlock" in line.lower() or "locked" in line.lower() or "registered" in line.lower()]
    assert len(said) <= 1, said


def test_without_locked_memory_one_line_says_which_limit(make_cache, upstream):
    """Recent kernels count the rings themselves, so that there is nothing to fall back to."""
    cache = make_cache(upstream, limits=locked_memory_at_most(0), start=False)
    cache.expect_death = True
    cache.start(ready=False)
    try:
        status = cache.process.wait(3)
    except subprocess.TimeoutExpired:
        return          # this kernel does not count them: it runs
    assert status == 1 and one_line(cache.log()) and "MEMLOCK" in cache.log(), cache.log()


def test_what_cannot_be_had_is_named(directory):
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    free = f"127.0.0.1:{free_port()}"
    with open(f"{directory}/file", "w", encoding="ascii") as file:
        file.write("not a directory")
    wrong = {"L04 a port in use": (["--listen", f"127.0.0.1:{port}", "--admin", free, "--store", f"{directory}/a"], str(port)),
             "L04 an admin port in use": (["--listen", free, "--admin", f"127.0.0.1:{port}", "--store", f"{directory}/b"], str(port)),
             "L04 an address of another machine": (["--listen", "192.0.2.1:5000", "--admin", free, "--store", f"{directory}/c"], "192.0.2.1"),
             "a store that is a file": (["--listen", free, "--admin", f"127.0.0.1:{free_port()}", "--store", f"{directory}/file"], f"{directory}/file"),
             "a configuration that is not there": (["--config", f"{directory}/none.toml"], "none.toml")}
    with Rows() as rows:
        for name, (arguments, word) in wrong.items():
            if "--config" not in arguments:
                arguments = ["--config", "/dev/null", *arguments]
            done = serve(*arguments)
            said = "".join(line for line in done.stderr.splitlines(keepends=True) if not line.startswith("entrepot: waiting for "))
            rows.check(done.returncode == 1 and word in said, name, (done.returncode, done.stderr))
            rows.check(one_line(said), f"{name}: one line", done.stderr)
    taken.close()


def test_wrong_usage_is_two_and_help_is_zero():
    with Rows() as rows:
        for arguments, status in ((["serve", "--no-such-flag"], 2), (["serve", "--shards", "many"], 2), (["no-such-command"], 2), ([], 2),
                                  (["--help"], 0), (["serve", "--help"], 0), (["--version"], 0)):
            done = subprocess.run([BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
            rows.check(done.returncode == status, arguments, (done.returncode, done.stderr))
            rows.check(status == 0 or done.stderr, f"{arguments}: says why", done.stdout)
            rows.check("--help" not in arguments or "xample" in done.stdout, f"{arguments}: an example", done.stdout)


def test_flags_win_over_the_file(directory):
    listen, admin = free_port(), free_port()
    with open(f"{directory}/file.toml", "w", encoding="utf-8") as file:
        file.write(f'[server]\nlisten = ["127.0.0.1:{free_port()}"]\nadmin = "127.0.0.1:{free_port()}"\n[store]\npath = "{directory}/never"\ncapacity = "1GiB"\n')
    process = subprocess.Popen([BINARY, "serve", "--config", f"{directory}/file.toml", "--listen", f"127.0.0.1:{listen}", "--admin", f"127.0.0.1:{admin}",
                                "--store", f"{directory}/store", "--shards", "1"], stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
    try:
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", listen), timeout=1).close()
                with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=1):
                    break
            except OSError:
                assert time.monotonic() < end and process.poll() is None
                time.sleep(0.05)
        assert os.path.exists(f"{directory}/store/oci-layout") and not os.path.exists(f"{directory}/never")
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_signals_that_mean_nothing_harm_nothing(cache, upstream):
    blob = upstream.offers()
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGWINCH, signal.SIGURG):
        os.kill(cache.process.pid, number)
        time.sleep(0.05)
        assert cache.alive and cache.get(blob).digest() == blob.digest, signal.Signals(number).name


def test_stopped_for_a_while_and_continued(cache, upstream):
    blob = upstream.offers("4MiB", rate="4MiB")
    pull = cache.pull(blob).until_received(1)
    os.kill(cache.process.pid, signal.SIGSTOP)
    time.sleep(2)
    os.kill(cache.process.pid, signal.SIGCONT)
    assert pull.digest() == blob.digest


def test_sigterm_while_it_starts(make_cache, upstream):
    for pause in (0.0, 0.01, 0.03, 0.1):
        cache = make_cache(upstream, start=False)
        cache.expect_death = True
        cache.start(ready=False)
        time.sleep(pause)
        cache.process.terminate()
        assert cache.process.wait(10) in (0, -signal.SIGTERM), cache.log()


def test_a_second_sigterm_ends_at_once(cache, upstream):
    blob = upstream.offers("4MiB", hold_after="1MiB")
    pull = cache.pull(blob).until_received(1)
    started = time.monotonic()
    cache.expect_death = True
    cache.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    cache.process.send_signal(signal.SIGTERM)
    cache.process.wait(10)
    assert time.monotonic() - started < 5
    assert not pull.complete


def test_idle_it_ends_at_once(cache, upstream):
    cache.get(upstream.offers())
    with cache.connect() as kept:
        assert kept.exchange("GET", "/v2/").status == 200
        started = time.monotonic()
        assert cache.stop() == 0 and time.monotonic() - started < 5, "an idle kept connection must not hold up the end"
    cache.start()


def test_the_program_is_hardened_as_it_was_built():
    """What the compiler and the linker were asked for is there: options may cancel each other without a word."""
    def shown(*arguments):
        return subprocess.run([*arguments, BINARY], check=True, capture_output=True, text=True).stdout

    headers, dynamic, segments, symbols = shown("readelf", "-hW"), shown("readelf", "-dW"), shown("readelf", "-lW"), shown("nm", "-D")
    with Rows() as rows:
        rows.check("DYN (Position-Independent" in headers, "addresses are drawn at each start (PIE)")
        rows.check("GNU_RELRO" in segments and re.search(r"FLAGS_1\)\s+Flags:.*\bNOW\b", dynamic), "what the linker resolved is read-only (RELRO, now)")
        rows.check(re.search(r"GNU_STACK\s.*\sRW ", segments), "the stack is not executable")
        rows.check("__stack_chk_fail" in symbols, "stacks have canaries")
        rows.check(re.search(r" __\w+_chk@", symbols), "_FORTIFY_SOURCE is in effect")


def test_a_hundred_thousand_dead_downloads_do_not_hold_up_a_start(make_cache, upstream):
    """They go in the background; what can be resumed stays and is."""
    cache = make_cache(upstream)
    blob = upstream.offers("32MiB", hold_after="24MiB")
    cache.pull(blob).until_received(20 << 20)
    time.sleep(0.5)
    cache.kill()
    blob.release()
    partials = f"{cache.store}/.entrepot/partial"
    resumable = len(os.listdir(partials))
    for number in range(100_000):
        os.close(os.open(f"{partials}/sha256-{number:064x}", os.O_CREAT | os.O_WRONLY, 0o600))
    before = time.monotonic()
    cache.start()
    took = time.monotonic() - before
    assert took < 5, f"the start took {took:.1f} s"
    assert len(os.listdir(partials)) > resumable, "nothing was left for the background: this shows nothing"
    small = upstream.offers("10KiB")
    before = time.monotonic()
    assert cache.get(small).digest() == small.digest
    assert time.monotonic() - before < 5, "a pull waits for the clean-up"
    end = time.monotonic() + 60
    while (left := len(os.listdir(partials))) > resumable:
        assert time.monotonic() < end, f"{left} files are left"
        time.sleep(0.1)
    assert cache.get(blob).digest() == blob.digest
    assert starts(upstream, blob)[-1] > 0, "the partial file was not used"


test_what_is_only_better_with_it_is_done_without.limit_s = 200      # ten starts, each with syncs that a busy disk may hold up

"""File systems of a scenario's own, on loop devices: small, and there to be ruined."""
import os
import subprocess
import tempfile
import time

from .mounts import own_mounts, run


def place_for_images(directory):
    memory, least = "/dev/shm", 4 << 30
    if not os.access(memory, os.W_OK):
        return directory
    space = os.statvfs(memory)
    return memory if space.f_bavail * space.f_frsize >= least else directory


class Disk:
    """`refused` says why there is none, else it is mounted on `path`."""

    def __init__(self, directory, name, kind="ext4", size="64M", make=(), options=()):
        # Where the image is kept in memory other scenarios do not wait for what it writes. Dirty pages, syncs and power cuts are the file system's affair all the same.
        self.image = tempfile.NamedTemporaryFile(prefix=f"entrepot-{name}-", suffix=".img", dir=place_for_images(directory), delete=False).name
        self.path = f"{directory}/{name}"
        self.kind = kind
        self.options = ",".join(["loop", *options])
        self.refused = None
        os.makedirs(self.path)
        with open(self.image, "wb") as file:
            file.truncate(int(size.rstrip("M")) << 20)
        for step in (own_mounts, lambda: run(f"mkfs.{kind}", "-q", *make, self.image), self.mount):
            done, said = step()
            if not done:
                self.refused = f"no {kind} on a loop device here: {said}"
                return

    def mount(self):
        return run("mount", "-o", self.options, self.image, self.path)

    def unmount(self, timeout=20):
        """Who was killed a moment ago may still have files open."""
        self._until_done(timeout, "umount", self.path)

    def remount(self, mode, timeout=40):
        """"ro" or "rw". Read-only waits for whoever has a file open for writing."""
        self._until_done(timeout, "mount", "-o", f"remount,{mode}", self.path)

    def forget(self):
        """Its bytes go with its last mount, which ends with this process."""
        os.unlink(self.image)

    def cut_power(self):
        """Nothing that is not on the disk by now will ever be; from here on every request fails."""
        done, said = run("xfs_io", "-x", "-c", "shutdown", self.path)
        assert done, said

    def device(self):
        return subprocess.run(["findmnt", "-no", "SOURCE", self.path], capture_output=True, text=True, check=True).stdout.strip()

    def find_error(self):
        """As if the file system had found itself damaged: it turns read-only, whoever writes. False where it cannot be told to."""
        trigger = f"/sys/fs/ext4/{os.path.basename(self.device())}/trigger_fs_error"
        if not os.path.exists(trigger):
            return False
        with open(trigger, "w", encoding="ascii") as file:
            file.write("told to")
        return True

    @staticmethod
    def _until_done(timeout, *command):
        end = time.monotonic() + timeout
        while not (done := run(*command))[0]:
            assert time.monotonic() < end, f"{' '.join(command)}: {done[1]}"
            time.sleep(0.1)

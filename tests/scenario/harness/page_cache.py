"""What the kernel keeps of a file in memory."""
import ctypes
import mmap
import os
import shutil
import tempfile


def folder_on_disk(story):
    """A folder of the story's own, on a disk where the machine has one there."""
    folder = tempfile.mkdtemp(prefix="entrepot-test-", dir="/var/tmp")
    story.closers.insert(0, lambda told: shutil.rmtree(folder, ignore_errors=True))
    return folder


def writes_past_memory(folder):
    """Whether its file system knows O_DIRECT."""
    path = f"{folder}/direct"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_DIRECT))
    except OSError:
        return False
    finally:
        os.unlink(path)
    return True


def evicted_from_memory(path):
    """Drops the file's pages, so that the next read is a cold one."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bytes_in_memory(path):
    """Of the file's, as the page cache has them."""
    page = mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
        seen = ctypes.create_string_buffer((len(mapped) + page - 1) // page)
        first = ctypes.c_char.from_buffer(mapped)
        try:
            assert libc.mincore(ctypes.addressof(first), len(mapped), seen) == 0, os.strerror(ctypes.get_errno())
        finally:
            del first
        return sum(byte & 1 for byte in seen.raw) * page

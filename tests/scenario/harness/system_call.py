"""System calls that fail as the kernel or a container would let them."""
import ctypes
import os
import struct

from .service import LIBC

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def system_call_fails(number, error, second_argument=None):
    """What a child calls before it becomes the server: from then on this system call fails with this errno, for all arguments or for one value of the second."""
    load, jump_equal, give = 0x20, 0x15, 0x06       # BPF: load a word, jump if equal, return
    wanted = [(24, second_argument)] if second_argument is not None else []
    program = []
    for position, (offset, value) in enumerate([(0, number), *wanted]):
        left = 2 * (len(wanted) - position)         # to the last instruction, which allows
        program += [(load, 0, 0, offset), (jump_equal, 0, left + 1, value)]
    program += [(give, 0, 0, 0x00050000 | error), (give, 0, 0, 0x7fff0000)]

    def forbid():
        packed = b"".join(struct.pack("HBBI", *one) for one in program)
        buffer = ctypes.create_string_buffer(packed, len(packed))
        header = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer))
        LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0):
            os._exit(99)
    return forbid

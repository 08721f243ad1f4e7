"""The rows of the comparison, one file for each group. A row is a function of the bench that returns Figures and Matrices."""
import dataclasses
import typing


@dataclasses.dataclass
class Row:
    name: str
    title: str
    function: typing.Callable


ALL = {}


def row(name, title):
    """Registers a row under the name it has on the command line; its docstring is the text of the page."""
    def register(function):
        ALL[name] = Row(name, title, function)
        return function
    return register


from rows import hot, tls, cold_reads, coalescing, misses, faults, slow_readers, idle  # noqa: E402, F401
from rows import start, restart, eviction, image, prefetch, linear, shards, hashing  # noqa: E402, F401

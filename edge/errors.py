"""Errors that a person must act on. Each says where, what is wrong, and what to do next.

::

    BabbittError
      ConfigError     the site file, a profile or a column map says something that cannot be
        ConfigErrors    several rules of a site do
        UnitError       a signal's unit is not declared, or is not one of what it is said to measure
      LineError       a port or serial device cannot be opened
      StoreError      the store cannot be opened or is another program's
        BrokenStoreError   it was set aside; opening it anew makes a new one
        UnwritableStoreError   its disk takes nothing now: a gateway goes on without it
      BundleError     a model bundle is missing, altered or made for something else
      PhysicsError    a law of physics was asked about what cannot be
      BlockError      bytes that are not a block, or not one that this version reads
        UnknownDictionaryError   a sound block whose names are in a dictionary that is not at hand

Operating trouble (no answer, disk full, link down) is never an exception between rooms: it is a ``Quality``, a
``Dropped`` or an ``Outcome``. A broken invariant is an ``assert``.
"""

from __future__ import annotations


class BabbittError(Exception):
    """``where: problem (hint)``; the command line prints it on one line and exits with ``exit_code``."""

    exit_code = 1

    def __init__(self, where: str, problem: str, hint: str = "") -> None:
        self.where, self.problem, self.hint = where, problem, hint
        super().__init__(f"{where}: {problem}" + (f" ({hint})" if hint else ""))


class ConfigError(BabbittError):
    exit_code = 2


class ConfigErrors(ConfigError):
    """Several at once: it is told as the first ``of`` them, with how many more there are."""

    def __init__(self, of: tuple[ConfigError, ...]) -> None:
        first, self.of = of[0], of
        super().__init__(first.where, first.problem, first.hint)
        if len(of) > 1:
            self.args = (f"{first}; {len(of) - 1} more: `babbitt gateway check` prints them all",)


class UnitError(ConfigError):
    """No number is made of samples whose unit is not known."""


class LineError(BabbittError):
    exit_code = 3


class StoreError(BabbittError):
    exit_code = 4


class BrokenStoreError(StoreError):
    """The store at ``where`` cannot be read; it lies beside, renamed, and what it held is known by its recorder."""


class UnwritableStoreError(StoreError):
    """The disk is full, read-only or failing: that may pass, and no choice of a person's is in the way."""


class BundleError(BabbittError):
    exit_code = 5


class BlockError(BabbittError):
    exit_code = 6


class PhysicsError(BabbittError):
    """``where`` names the quantity that cannot be as it was given."""

    exit_code = 2


class UnknownDictionaryError(BlockError):
    """``digest`` (16 bytes) names the dictionary."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        super().__init__("block", f"its names are in dictionary {digest.hex()}, which is not at hand", "send it first")

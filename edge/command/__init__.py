"""Guarded writes: what may be written to a machine, by whose word, within which limits, and what came of it.

``checks`` ask whether a command may be carried out, ``carrying`` does it (write, read back, watch, put back),
``watching`` says when to put back, ``contracts`` whose word counts, ``audit`` makes every step
durable and chains it, ``state`` is what survives. ``Guard`` is the room. Without a contract nothing is written, and
without the table ``[command]`` none of this is even loaded.
"""

from edge.command.answers import Answers
from edge.command.audit import Audit
from edge.command.checks import CHECKS
from edge.command.enable import Always, Both, ByPin, ByTag, Enable
from edge.command.guard import Guard, Told
from edge.command.machine import Machine

__all__ = ["CHECKS", "Always", "Answers", "Audit", "Both", "ByPin", "ByTag", "Enable", "Guard", "Machine", "Told"]

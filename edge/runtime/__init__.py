"""Builds every room and hands each what it needs. The only place that knows them all; it decides nothing.

Read them in this order: ``start`` runs a gateway until a signal, ``gateway`` is what runs in it from its start to
its end, ``rooms`` how all of it is built and wired. What passes between the rooms goes through ``flow``; ``report``
says how they are, ``succession`` lets one site follow another, ``store`` opens the journal, or one in memory where its
disk takes nothing, ``disk`` commits, and ``memory`` is what outlives a restart. The others look after one room each:
``judging`` (its ``rounds`` are done on the ``judges_thread``), ``commanding``, ``norths``, ``panel``, ``page_child``,
``looking``; ``proof`` says whether what is read becomes alarms, which ``heartbeat`` tells the service manager.
``pulse`` is how long all of them stood still.
"""

from edge.runtime.gateway import Gateway
from edge.runtime.start import run

__all__ = ["Gateway", "run"]

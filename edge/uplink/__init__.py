"""The uplink: what lies in the journal goes up, in order, once acknowledged never again.

It survives a receiver that is away, slow or busy, that stores and then drops the reply, or that refuses a request. None
of these loses a reading; only the receiver's own refusal of a single block gives that block up, declared.
"""

from __future__ import annotations

from edge.uplink.drain import Uplink
from edge.uplink.http import HttpLink, Refused
from edge.uplink.standing import UplinkState

__all__ = ["HttpLink", "Refused", "Uplink", "UplinkState"]

"""Judges again, from stored blocks, with the gateway's own judge: whether its verdicts come out the same to the bit.

Promises: a verdict that cannot be replayed is counted with the reason in words, never passed over; one that comes out
otherwise without a reason is a difference, and the first is shown field by field.
"""

from cloud.replay.replay import Difference, Replayed, replay
from cloud.replay.shelf import Shelf

__all__ = ["Difference", "Replayed", "Shelf", "replay"]

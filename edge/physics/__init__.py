"""Laws that a machine's life and operating point follow: pure functions, the same on the gateway and in the cloud.

Each names its source and where it holds. What cannot be (a load of nothing, a life at no temperature) is refused with a
``PhysicsError``; what can be but lies outside a law's validity is answered with ``doubts`` in words, so that whoever
shows the number shows them too.
"""

from edge.physics.estimate import Estimate

__all__ = ["Estimate"]

"""The gateway's own page for people on the floor: a small process beside the gateway that asks it once a second.

Is: one place that asks (``watching``), pure views of what was answered (``machines``, ``lines``, ``state``), pages
drawn on the server that work without scripts and without any network beyond, and, with a PIN, acknowledging and
shelving. Is not: a part of the gateway's process. A slow phone, a hostile client or a fault in here holds up no poll
and no lamp: all that it can do is to ask over ``gateway.sock``, at most once a second for all who look together.
"""

"""What every client of an OPC UA server here needs, over asyncua: who it is, one session, bounds, words for trouble.

asyncua is loaded only where a line or a command speaks OPC UA: it takes 48 MB. Of it, the encoding, the security
policies and the single services are used. Its own ways to reconnect and to subscribe are not: they ask for sessions
of an hour, keep one publish request open, and lose what a notification that cannot be read held without a word. Nor
are its decoders of structures, which are one table for the whole process: two servers would overwrite each other's.
"""

from __future__ import annotations

import logging

# It tells one failure several times, with tracebacks, and those that it then mends; what matters is told by us, once.
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)

"""Commissioning: is what was wired and configured also what is there?

Is: pure questions about profiles and values (import, check, decode), and the dry run of a site (read-only) with its
acceptance report. Is not: a poller. Drivers and sources are handed in; nothing here is loaded by a running gateway.
"""

"""What a gateway would have made of a customer's history, told before anything is installed.

An export is read, its columns are named, every row goes through the gateway's own judge and alarm desk, and what these
raised is held against what failed: caught, late, missed, cried wolf, and the money of it, beside trivial rivals.
"""

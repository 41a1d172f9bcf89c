"""Seeds of tests that go by chance: a new one each time, which is printed, so that a failure can be had again."""

from __future__ import annotations

import os
import random


def fresh_seed() -> int:
    """Below 2**32; ``BABBITT_SEED`` sets it. pytest shows what was printed where a test fails."""
    seed = int(os.environ.get("BABBITT_SEED") or random.SystemRandom().randrange(2**32))
    print(f"seed {seed}: to have it again, BABBITT_SEED={seed}")
    return seed

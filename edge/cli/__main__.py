"""``python -m edge.cli``: the same as the console script ``babbitt``."""

from edge.cli import main

main()

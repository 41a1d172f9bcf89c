"""The command line's root."""
import click


@click.group()
def main() -> None:
    """Babbitt."""

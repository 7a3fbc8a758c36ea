"""Types of arguments that several commands take; imports nothing heavy, since every command builds the command line."""

import argparse
from collections.abc import Callable


def number_up_to(most: int) -> Callable[[str], int]:
    """A reader of whole numbers from 1 to `most`."""

    def number(text: str) -> int:
        value = int(text)
        if not 1 <= value <= most:
            raise argparse.ArgumentTypeError(f"must be a number from 1 to {most}")
        return value

    return number

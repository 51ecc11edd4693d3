"""How much of a stranger's file is read before it is refused."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Upper bounds, each inclusive: sizes in bytes, the others are counts."""

    max_file_bytes: int = 20 * 2**20
    max_chunks: int = 10_000
    max_text_bytes: int = 16 * 2**20  # of one card in a PNG, packed and unpacked alike
    max_picture_bytes: int = 128 * 2**20  # of the unpacked pixels
    max_written_out_digits: int = 1_000_000  # of all numbers such as 1e999 together
    max_files: int = 200
    max_total_bytes: int = 200 * 2**20  # of the cards of one import that were read


DEFAULT_LIMITS = Limits()


def in_words(size: int) -> str:
    """A size in bytes as a person reads it: ``20 MiB``, ``1.5 KiB``, ``12 bytes``."""
    for unit, factor in (("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} bytes"

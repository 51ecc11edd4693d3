"""Families of trials of equal shape: one run takes a few members of each, TANDEM_THOROUGH=1 takes all."""

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

THOROUGH = os.environ.get("TANDEM_THOROUGH") == "1"
Member = TypeVar("Member")


def members(family: Iterable[Member], chosen: Sequence[Member]) -> list[Member]:
    """The whole family, or those chosen of it: never none, and nobody who is not of it."""
    family = [*family]
    assert chosen, "nobody was chosen"
    assert not [one for one in chosen if one not in family], "not of the family"
    return family if THOROUGH else [one for one in family if one in chosen]

"""Timing product and floor in turn, so that a machine whose speed drifts changes both alike."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PAIRS = 5


@dataclass(frozen=True)
class Row:
    """One line of the table: per call, medians over the pairs; the ratio is the median of ratios."""

    item: str
    product: float
    floor: float
    ratio: float
    goal: str
    unit: str = "ms"


def compare(item: str, goal: str, product: Callable[[int], object], floor: Callable[[int], object], calls: int) -> Row:
    """Time ``calls`` calls of each, in five pairs after a warm-up. Both get a number that never comes twice."""
    numbers = iter(range(10**9))
    for warm_up in (product, floor):
        _time(warm_up, numbers, max(calls // 5, 2))
    pairs = [(_time(product, numbers, calls), _time(floor, numbers, calls)) for _ in range(PAIRS)]
    return Row(
        item,
        statistics.median(one for one, _ in pairs),
        statistics.median(other for _, other in pairs),
        statistics.median(one / other for one, other in pairs),
        goal,
    )


def _time(work: Callable[[int], object], numbers: Iterator[int], calls: int) -> float:
    gc.collect()
    start = time.perf_counter()
    for _ in range(calls):
        work(next(numbers))
    return (time.perf_counter() - start) * 1000 / calls


def table(rows: list[Row]) -> str:
    """The rows as text."""
    lines = [f"{'item':<58} {'product':>10} {'floor':>10} {'ratio':>7}  goal"]
    lines += [
        f"{r.item:<58} {r.product:>7.3f} {r.unit} {r.floor:>7.3f} {r.unit} {r.ratio:>6.2f}x  {r.goal}" for r in rows
    ]
    return "\n".join(lines)

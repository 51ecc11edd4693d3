"""How commands say how far they are: a bar on a terminal, plain lines elsewhere, and results as JSON."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from store import codec
from store.progress import Moment, Progress

BY_COMMAND = "the command line"  # who did it, in the history
_WIDTH = 30  # characters of the bar
_EVERY_S = 0.1  # on a terminal
_LINE_EVERY_S = 5.0  # elsewhere


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    click.echo(codec.dumps(value).decode())


@contextmanager
def told(*, quiet: bool = False) -> Iterator[Progress]:
    """A progress that is shown on standard error while the block runs; with ``quiet`` it is not."""
    if quiet:
        yield Progress()
        return
    shown = _Shown(sys.stderr.isatty())
    try:
        yield Progress(shown)
    finally:
        shown.end()


class _Shown:
    def __init__(self, terminal: bool) -> None:
        self._terminal, self._at, self._phase = terminal, float("-inf"), ""

    def __call__(self, moment: Moment) -> None:
        now = time.monotonic()
        new = moment.phase != self._phase
        if not new and now - self._at < (_EVERY_S if self._terminal else _LINE_EVERY_S):
            return
        self._at, self._phase = now, moment.phase
        rate = moment.done / moment.seconds if moment.seconds > 0 else 0.0
        left = moment.seconds * (1 - moment.overall) / moment.overall if moment.overall > 0.01 else None
        text = f"{moment.phase}: {moment.done} of {moment.total}"
        if not self._terminal:
            click.echo(text, err=True)
            return
        full = round(_WIDTH * moment.overall)
        rest = f", {rate:.0f}/s" + (f", {left:.0f} s left" if left is not None else "")
        click.echo(f"\r\x1b[K[{'#' * full}{'.' * (_WIDTH - full)}] {text}{rest}", err=True, nl=False)

    def end(self) -> None:
        """Leave the terminal on a line of its own."""
        if self._terminal and self._phase:
            click.echo("", err=True)

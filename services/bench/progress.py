"""How far it is: a bar on a terminal, a line for each thing that is begun elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Step = Callable[[str], None]
"""Told what comes next; each call but the first ends what was before."""


class Teller:
    """Tells what is being measured."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def part(self, title: str, total: int) -> Iterator[Step]:
        """Give a function to call at the beginning of each of `total` steps, with a note on it."""
        if not self._console.is_terminal:
            yield self._line_by_line(title)
            return
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(title, total=total, note="")
            begun = 0

            def step(note: str) -> None:
                nonlocal begun
                bar.update(task, completed=begun, note=note)
                begun += 1

            yield step

    def _line_by_line(self, title: str) -> Step:
        last = ""

        def step(note: str) -> None:
            nonlocal last
            if note != last:
                self._console.print(f"{title}: {note}", markup=False, highlight=False, soft_wrap=True)
            last = note

        return step

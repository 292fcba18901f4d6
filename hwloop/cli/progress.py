"""Progress on standard error: a bar for each device where it is a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from hwloop.cli.output import error_lines
from hwloop.errors import InfrastructureError
from hwloop.records import Measurement


class Progress:
    """Shows a measuring run as it goes; an observer of `hwloop.measure`."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._bars = Bars(
            TextColumn("{task.fields[device]:<12}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[doing]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Progress:
        """Start showing."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bars away."""
        self._bars.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, soft_wrap=True)

    def planned(self, device: str, cells: int) -> None:
        """Show a bar for a device."""
        with self._lock:
            self._tasks[device] = self._bars.add_task("", total=1.0, device=device, doing="")

    def progressed(self, device: str, what: str, share: float) -> None:
        """Move a device's bar."""
        self._bars.update(self._tasks[device], completed=share, doing=what)

    def finished(self, measurement: Measurement, reused: bool) -> None:
        """Print a line for what was measured now; what the store had shows in the table alone."""
        subject = measurement.subject
        if not reused and not self._console.is_terminal:
            self.say(f"{subject.device}: {subject.model} with {subject.runtime}: {measurement.verdict.value}")

    def device_failed(self, error: InfrastructureError) -> None:
        """Print what is wrong with a device."""
        for line in error_lines(error):
            self.say(line)


@contextmanager
def counted(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar while something is done `total` times, where standard error is a terminal; told how often it was."""
    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(bar_width=30), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=total)
        yield lambda done: bars.update(task, completed=done)


@contextmanager
def busy(title: str) -> Iterator[None]:
    """Show that something goes on, where standard error is a terminal."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn(title), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bars.add_task("", total=None)
        yield

"""Tasks by name: those that come with hwloop, and a user's own out of a Python file."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from hwloop.errors import UsageError
from hwloop.search.own_code import own_object
from hwloop.search.tasks.base import Task

# Name, and where it stands: a file is imported only when its task is asked for.
TASKS = {
    "debian-it": "hwloop.search.tasks.debian_it:DEBIAN_IT",
    "digits": "hwloop.search.tasks.digits:DIGITS",
    "fashion-mnist": "hwloop.search.tasks.fashion_mnist:FASHION_MNIST",
    "reviews": "hwloop.search.tasks.reviews:REVIEWS",
}
PARTS = ("name", "summary", "data", "loss", "metric")


def load_task(name: str) -> Task:
    """Return a task by its name, or by `FILE.py:NAME` out of own code.

    Raises:
        UsageError: there is no such task, or the file cannot be used.
    """
    if name in TASKS:
        module, _, attribute = TASKS[name].partition(":")
        task: Task = getattr(import_module(module), attribute)
        return task
    path, colon, attribute = name.rpartition(":")
    if not colon or not path.endswith(".py"):
        raise UsageError(
            f"there is no task {name!r}", remedy=f"The tasks are {', '.join(TASKS)}, and your own as FILE.py:NAME."
        )
    own: Task = own_object(Path(path), attribute, "Classification(...)")
    missing = [part for part in PARTS if not hasattr(own, part)]
    if missing:
        raise UsageError(
            f"{name}: this is no task: it has no {', '.join(missing)}",
            remedy="Make one with hwloop.search.tasks.base.Classification, or a class with all of these.",
        )
    return own

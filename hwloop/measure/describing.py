"""What the store must know of every model that is measured, so that predictors can learn from it."""

from __future__ import annotations

from collections.abc import Sequence

from hwloop.measure.workload import Workload
from hwloop.store import Models, Store

AT_ONCE = 64


def describe(workloads: Sequence[Workload], store: Store) -> None:
    """Store the facts of the models that the store does not know yet, some at once, before anything is timed.

    Raises:
        StoreError: the store cannot be written.
    """
    models = Models(store)
    found = {(one.model.digest, one.inputs.digest): one for one in workloads}
    known = models.known(found)
    new = [workload for pair, workload in found.items() if pair not in known]
    for start in range(0, len(new), AT_ONCE):
        models.add([workload.facts() for workload in new[start : start + AT_ONCE]])

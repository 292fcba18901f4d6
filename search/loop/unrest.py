"""Devices whose figures can mostly not be trusted: they would teach a search nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hwloop.errors import DeviceRestless
from hwloop.records import Measurement, Verdict
from hwloop.verdict import outputs_differ

LEAST_DOUBTFUL = 3  # figures in a row of batches: one of a batch of one says little


class Unrest:
    """Counts, device by device, the doubtful figures of batches that were mostly doubtful, one after the other."""

    def __init__(self) -> None:
        self._doubtful: Counter[str] = Counter()

    def watch(self, device: str, batch: Sequence[Measurement]) -> None:
        """Take note of a batch's measurements on a device, each already tried as often as is done.

        Networks that a runtime computes wrongly are no sign of unrest: they are wrong on a calm device, too.

        Raises:
            DeviceRestless: of this batch, or of those before it without a pause, too many are INVALID.
        """
        timed = [one for one in batch if not outputs_differ(one)]
        if not timed:
            return
        doubtful = [one for one in timed if one.verdict is Verdict.INVALID]
        if len(doubtful) <= len(timed) / 2:
            del self._doubtful[device]
            return
        self._doubtful[device] += len(doubtful)
        if self._doubtful[device] >= LEAST_DOUBTFUL:
            raise DeviceRestless(
                device,
                f"most of its figures cannot be trusted: {'; '.join(doubtful[0].reasons)}",
                remedy="End what else runs there, then give the same command: it goes on from here.",
            )

"""What is known of a model without measuring it, alone and beside what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from hwloop.records.candidate import Candidate
from hwloop.records.costs import Costs
from hwloop.records.measurement import Subject


@dataclass(frozen=True)
class ModelFacts:
    """A model with inputs of certain sizes: what it costs, and the candidate that it was exported from, if any.

    `digest` is the file's, `inputs_digest` that of the inputs which it was measured with.
    """

    digest: str
    inputs_digest: str
    name: str
    costs: Costs
    candidate: Candidate | None = None


@dataclass(frozen=True)
class TrainingRow:
    """A valid measurement and its model. An emulated device gives instructions per call in place of milliseconds."""

    measurement_id: str
    subject: Subject
    median_ms: float | None
    insns_per_call: float | None
    facts: ModelFacts

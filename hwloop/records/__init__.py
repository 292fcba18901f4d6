"""What flows through the loop: plain, immutable records that know nobody."""

from hwloop.records.artifact import Artifact, RuntimeNeeds, TensorSpec, WheelNeed
from hwloop.records.device import DeviceFacts, Target
from hwloop.records.measurement import (
    Evidence,
    Failure,
    FailureKind,
    Measurement,
    ProcessRun,
    Subject,
    Summary,
    Verdict,
)
from hwloop.records.protocol import ProcessBudget, TimingProtocol

__all__ = [
    "Artifact",
    "DeviceFacts",
    "Evidence",
    "Failure",
    "FailureKind",
    "Measurement",
    "ProcessBudget",
    "ProcessRun",
    "RuntimeNeeds",
    "Subject",
    "Summary",
    "Target",
    "TensorSpec",
    "TimingProtocol",
    "Verdict",
    "WheelNeed",
]

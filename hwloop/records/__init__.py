"""What flows through the loop: plain, immutable records that know nobody."""

from hwloop.records.artifact import Artifact, RuntimeNeeds, TensorSpec, WheelNeed
from hwloop.records.candidate import Arch, Candidate, QuantPolicy, Scheme
from hwloop.records.costs import Costs
from hwloop.records.device import DeviceFacts, Target
from hwloop.records.evidence import Conditions, Evidence
from hwloop.records.kernel import Kernel, KernelKind
from hwloop.records.limits import Limits, usual_limits
from hwloop.records.measurement import (
    Failure,
    FailureKind,
    Measurement,
    ProcessRun,
    Subject,
    Summary,
    Verdict,
)
from hwloop.records.model_facts import ModelFacts, TrainingRow
from hwloop.records.profile import KernelCost, Profile, StoredProfile
from hwloop.records.protocol import ProcessBudget, TimingProtocol

__all__ = [
    "Arch",
    "Artifact",
    "Candidate",
    "Conditions",
    "Costs",
    "DeviceFacts",
    "Evidence",
    "Failure",
    "FailureKind",
    "Kernel",
    "KernelCost",
    "KernelKind",
    "Limits",
    "Measurement",
    "ModelFacts",
    "ProcessBudget",
    "ProcessRun",
    "Profile",
    "QuantPolicy",
    "RuntimeNeeds",
    "Scheme",
    "StoredProfile",
    "Subject",
    "Summary",
    "Target",
    "TensorSpec",
    "TimingProtocol",
    "TrainingRow",
    "Verdict",
    "WheelNeed",
    "usual_limits",
]

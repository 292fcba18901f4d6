"""What a plan says: models, devices, and what they may cost there."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9}
UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
COUNT = re.compile(r"(\d+(?:\.\d+)?) ?([kKMG]?)")
SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(B|[kKMG]B|[KMG]iB)")
PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")
NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$"


def _count(value: object) -> object:
    found = COUNT.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, str) and not found:
        raise ValueError("it is no count, as 1200000 or 1.2 M")
    return float(found[1]) * UNITS[found[2].replace("K", "k")] if found else value


def _size(value: object) -> object:
    found = SIZE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError("it is no size with its unit, as 4 MB or 512 KiB")
    return float(found[1]) * UNITS[found[2]]


def _percent(value: object) -> object:
    found = PERCENT.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise ValueError("it is no percentage, as 1%")
    return float(found[1]) / 100


Count = Annotated[float, BeforeValidator(_count), Field(gt=0, allow_inf_nan=False)]
Size = Annotated[float, BeforeValidator(_size), Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(_percent), Field(ge=0, allow_inf_nan=False)]
Word = Annotated[str, Field(min_length=1)]
Words = Annotated[tuple[Word, ...], Field(strict=False, min_length=1)]
Side = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Budget(_Strict):
    """What a model may cost; what is None is not looked at. Sizes are in bytes, shares of 1."""

    max_slowdown: Share | None = Field(
        None, description="how much slower than the baseline, as 1%: by counts where emulated, else as `compare` shows"
    )
    instructions: Count | None = Field(None, description="instructions per call on emulated devices, as 1.2 M")
    median_ms: Count | None = Field(None, description="milliseconds per call on real devices, above 0")
    artifact: Size | None = Field(None, description="the size of what is pushed, as 4 MB")
    bundle: Size | None = Field(None, description="the size of its bundle as a .zip, as 4 MB")
    peak_memory: Size | None = Field(None, description="the memory of the process on real devices, as 80 MB")
    peak_activations: Size | None = Field(None, description="the activations alive at once, as 2 MB")


class Check(_Strict):
    """Models, on devices, with runtimes, within a budget. Outputs must be right, whatever the budget says."""

    models: Words = Field(description="a list of ONNX files, candidates' files, or SPACE@SEED")
    devices: Words = Field(description="a list of devices or tags")
    runtimes: tuple[Literal["onnxruntime", "tvm"], ...] = Field(
        ("onnxruntime", "tvm"), strict=False, min_length=1, description="a list out of onnxruntime and tvm"
    )
    shapes: dict[str, Side] = Field({}, description="a mapping of symbolic dimensions to their sizes, 1 or more")
    policy: tuple[Word, ...] = Field((), strict=False, description="a list of schemes for ONNX files, as for --policy")
    threads: int = Field(1, ge=1, le=1024, description="a whole number, 1 to 1024")
    seconds: float = Field(3.0, gt=0, le=3600, description="the most seconds of timed calls a measurement takes")
    compare_seconds: float = Field(
        30.0, ge=1, le=3600, description="seconds of a comparison on a real device, 1 or more"
    )
    budget: Budget = Field(Budget(), description=f"a mapping of {', '.join(Budget.model_fields)}")


class Plan(_Strict):
    """Checks by name, and the file of their baseline, relative to the plan's own folder."""

    checks: dict[Annotated[str, Field(pattern=NAME)], Check] = Field(
        min_length=1, description="a mapping of names to checks"
    )
    baseline: str = Field("hwloop.ci.baseline.json", min_length=1, description="the path of a JSON file")

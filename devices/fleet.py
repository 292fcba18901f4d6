"""The fleet: which devices there are and how each is reached, as devices.yaml says."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hwloop.devices.emulator.boards import BOARDS
from hwloop.errors import UsageError
from hwloop.paths import config_dir
from hwloop.records import DeviceFacts, Limits, Target, TimingProtocol, usual_limits

FILE_NAME = "devices.yaml"
FILE_VARIABLE = "HWLOOP_DEVICES"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
# A jump host: [user@]host[:port], an IPv6 address in brackets.
JUMP = re.compile(
    r"(?:(?P<user>[^\s@:,/-][^\s@:,/]*)@)?"
    r"(?P<host>\[[0-9A-Za-z:.%]+\]|[^\s@:,/-][^\s@:,/]*)"
    r"(?::(?P<port>\d{1,5}))?"
)

RuntimeName = Literal["onnxruntime", "tvm"]
A_SHARE = "a share, 0 to 1"
Word = Annotated[str, Field(pattern=NAME_PATTERN)]
Feature = Annotated[str, Field(pattern=r"^[+-][A-Za-z0-9._-]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TargetSettings(_Strict):
    """What a compiler must know of a device, where the device's own facts are not to decide it."""

    triple: str = Field(pattern=r"^[a-z0-9_]+(-[a-z0-9_.]+){1,3}$", description="as aarch64-linux-gnu")
    cpu: str = Field(pattern=r"^[A-Za-z0-9._+-]+$", description="LLVM's name of the CPU, as cortex-a72")
    features: tuple[Feature, ...] = Field((), strict=False, description="a list, as [+neon, -sve]")
    num_cores: int = Field(1, ge=1, le=1024, description="a whole number, 1 to 1024")
    glibc: str = Field(
        "2.28",
        pattern=r"^2\.\d{1,2}$",
        description='the oldest glibc, in quotes: "2.30" (without them it would be 2.3)',
    )

    def record(self) -> Target:
        """Return the target."""
        major, minor = self.glibc.split(".")
        return Target(self.triple, self.cpu, self.features, self.num_cores, (int(major), int(minor)))


class LimitSettings(_Strict):
    """What a device's usual limits are replaced by; `hwloop.records.Limits` says what each of them means."""

    frequency_moved: float | None = Field(None, ge=0, le=1, description=A_SHARE)
    temperature_moved_c: float | None = Field(None, ge=0, le=200, description="kelvins, up to 200")
    hottest_c: float | None = Field(None, ge=0, le=200, description="a temperature in °C, up to 200")
    foreign_load: float | None = Field(None, ge=0, le=1, description=A_SHARE)
    waiting: float | None = Field(None, ge=0, le=1, description=A_SHARE)
    settle_s: float | None = Field(None, ge=0, le=3600, description="seconds, up to 3600; 0 never waits")
    settle_total_s: float | None = Field(None, ge=0, le=86400, description="seconds, up to 86400; 0 never waits")

    def replace_in(self, usual: Limits) -> Limits:
        """Return the usual limits with these in place of some."""
        return replace(usual, **self.model_dump(exclude_none=True))


class BaseSettings(_Strict):
    """What every device has. `threads` None: as many as the protocol says; `cache_dir` "": the usual one."""

    tags: tuple[Word, ...] = Field((), strict=False, description="a list of words, as [arm64, kitchen]")
    runtimes: tuple[RuntimeName, ...] = Field(
        ("onnxruntime", "tvm"), strict=False, min_length=1, description="a list out of onnxruntime and tvm"
    )
    threads: int | None = Field(None, ge=1, le=1024, description="a whole number, 1 to 1024")
    python: str = Field("python3", pattern=r"^[^\s-]\S*$", description="the device's Python: a name or a path")
    cache_dir: str = Field("", pattern=r"^(/[^\x00-\x1f]*)?$", description="an absolute path on the device")
    connect_timeout_s: float = Field(
        30.0, gt=0, le=600, allow_inf_nan=False, description="seconds, above 0 and up to 600"
    )
    cache_limit_mb: int = Field(
        4096, ge=256, le=1 << 20, description="megabytes that hwloop keeps on the device, 256 or more"
    )
    target: TargetSettings | None = Field(None, description="a mapping of triple, cpu, features, num_cores and glibc")

    @property
    def cache_limit_bytes(self) -> int:
        """How much hwloop keeps on the device."""
        return self.cache_limit_mb * 1_000_000


class TimedSettings(BaseSettings):
    """What a device has that takes times."""

    limits: LimitSettings = Field(
        LimitSettings(), description=f"a mapping of {', '.join(LimitSettings.model_fields)} to numbers"
    )
    full_speed: bool = Field(False, description="true where others may slow its processors unseen, else false")


class LocalDevice(TimedSettings):
    """The machine that hwloop runs on; its Python is hwloop's own ("") unless `python` says otherwise."""

    transport: Literal["local"]
    python: str = Field("", pattern=r"^([^\s-]\S*)?$", description="a Python: a name or a path")


class SshDevice(TimedSettings):
    """A device behind SSH; what is None comes from ~/.ssh/config or SSH's usual defaults."""

    transport: Literal["ssh"]
    host: str = Field(
        pattern=r"^[^\s@/,-][^\s@/,]*$",
        description="a name, an address, or a Host of ~/.ssh/config, without user@",
    )
    user: str | None = Field(None, pattern=r"^[^\s@:/-][^\s@:/]*$", description="the login name")
    port: int | None = Field(None, ge=1, le=65535, description="a TCP port, 1 to 65535")
    key_file: str | None = Field(None, min_length=1, description="the path of a private key, as ~/.ssh/id_ed25519")
    jump: str | None = Field(
        None, description="one or more [user@]host[:port], separated by commas, in the order of the way there"
    )

    @field_validator("jump")
    @classmethod
    def _check_jump(cls, value: str | None) -> str | None:
        for number, hop in enumerate(value.split(",") if value is not None else (), 1):
            found = JUMP.fullmatch(hop.strip())
            if not found or not 1 <= int(found["port"] or 22) <= 65535:
                # Not shown here, for there may be a password in it.
                raise ValueError(f"jump host {number} is no [user@]host[:port]")
        return value


class EmulatedDevice(BaseSettings):
    """A board under QEMU on this machine; it counts instructions."""

    transport: Literal["emulated"]
    board: str = Field(description=f"one of {', '.join(BOARDS)}")

    @field_validator("board")
    @classmethod
    def _check_board(cls, value: str) -> str:
        if value not in BOARDS:
            raise ValueError(f"there is no emulated board {value!r}")
        return value


class BundleDevice(TimedSettings):
    """A device that no connection reaches: jobs are carried to it, and results back.

    What is found out of other devices stands in the file: what to compile for, and its Python's version.
    """

    transport: Literal["bundle"]
    target: TargetSettings = Field(description="a mapping of triple, cpu, features, num_cores and glibc")
    python: str = Field(
        pattern=r"^3\.([89]|\d\d)$", description='the version of its python3, 3.8 or newer, in quotes: "3.11"'
    )

    @property
    def python_version(self) -> tuple[int, int]:
        """The version of its Python."""
        major, minor = self.python.split(".")
        return int(major), int(minor)


Settings = LocalDevice | SshDevice | EmulatedDevice | BundleDevice


@dataclass(frozen=True)
class Device:
    """One entry of the fleet, with its name."""

    name: str
    settings: Settings

    @property
    def emulated(self) -> bool:
        """Whether it counts instructions instead of taking times."""
        return isinstance(self.settings, EmulatedDevice)

    @property
    def on_this_host(self) -> bool:
        """Whether it shares this machine's processors."""
        settings = self.settings
        if isinstance(settings, BundleDevice):
            return False
        return not isinstance(settings, SshDevice) or settings.host in ("localhost", "127.0.0.1", "::1")

    def require_runtime(self, runtime: str) -> None:
        """Raise UsageError unless the fleet file lets the device run a runtime."""
        if runtime not in self.settings.runtimes:
            raise UsageError(
                f"device {self.name} does not run {runtime}",
                remedy=f"It runs {', '.join(self.settings.runtimes)}: name one of these with -r.",
            )

    def timing(self, protocol: TimingProtocol) -> TimingProtocol:
        """Return how it is timed: by the protocol, but for what the file says."""
        full_speed = isinstance(self.settings, TimedSettings) and self.settings.full_speed
        threads = self.settings.threads or protocol.threads
        return replace(protocol, threads=threads, full_speed=full_speed or protocol.full_speed)

    def limits(self, facts: DeviceFacts) -> Limits:
        """Return the limits by which its runs are judged: those of its kind, but for what the file says."""
        usual = usual_limits(facts)
        return self.settings.limits.replace_in(usual) if isinstance(self.settings, TimedSettings) else usual

    @property
    def address(self) -> str:
        """How tables and messages show where it is."""
        settings = self.settings
        if isinstance(settings, BundleDevice):
            return "by hand"
        if isinstance(settings, SshDevice):
            user = f"{settings.user}@" if settings.user else ""
            port = f":{settings.port}" if settings.port else ""
            return f"{user}{settings.host}{port}" + (f" through {settings.jump}" if settings.jump else "")
        return f"emulated {settings.board}" if isinstance(settings, EmulatedDevice) else "this machine"


@dataclass(frozen=True)
class Fleet:
    """All devices in the order of the file; `source` is the file, or None for this machine alone."""

    devices: tuple[Device, ...]
    source: Path | None = None

    def select(self, names_or_tags: Sequence[str] = ()) -> list[Device]:
        """Return the devices of these names and tags, in the order of the file; all of them when none is named.

        Raises:
            UsageError: a word is neither a device nor a tag.
        """
        names = [device.name for device in self.devices]
        tags = sorted({tag for device in self.devices for tag in device.settings.tags})
        for word in names_or_tags:
            if word not in names and word not in tags:
                place = f" in {self.source}" if self.source else f"; without a {FILE_NAME} there is this machine alone"
                raise UsageError(
                    f"there is no device and no tag {word!r}{place}",
                    remedy=f"{did_you_mean(word, [*names, *tags])}"
                    f"Devices: {', '.join(names)}. Tags: {', '.join(tags) or 'none'}.",
                )
        wanted = set(names_or_tags)
        return [
            device
            for device in self.devices
            if not wanted or device.name in wanted or wanted.intersection(device.settings.tags)
        ]

    def select_reached(self, names_or_tags: Sequence[str] = ()) -> list[Device]:
        """Return the same, without those that no connection reaches, unless they are named.

        Raises:
            UsageError: a word is neither a device nor a tag, or none is left.
        """
        found = [
            device
            for device in self.select(names_or_tags)
            if device.name in names_or_tags or not isinstance(device.settings, BundleDevice)
        ]
        if not found:
            raise UsageError("no connection reaches any of these devices", remedy="Jobs are carried: docs/offline.md.")
        return found


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `Did you mean ...? ` for a word that is close to a known one, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean `{close[0]}`? " if close else ""


def load_fleet(path: Path | None = None) -> Fleet:
    """Return the fleet of a file.

    The file is `path`, or what HWLOOP_DEVICES names, or devices.yaml in the working folder or in the user's
    configuration folder; without any of them the fleet is this machine alone, named `local`.

    Raises:
        ConfigError: the file cannot be read or has mistakes; it carries all of them.
    """
    from hwloop.devices.fleet_file import read_fleet_file

    source = path or _find()
    if source is None:
        return Fleet((Device("local", LocalDevice(transport="local", tags=("host",))),))
    return Fleet(read_fleet_file(source), source)


def _find() -> Path | None:
    given = os.environ.get(FILE_VARIABLE)
    if given:
        return Path(given)
    return next((file for file in (Path(FILE_NAME), config_dir() / FILE_NAME) if file.exists()), None)

"""`hwloop devices`: the fleet, what each device is, whether it can be used, and whose host key is trusted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.cli import devices_upkeep
from hwloop.cli.output import DEVICE_FAILED, print_json, say
from hwloop.errors import HostKeyError, HwloopError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from hwloop.devices.fleet import Device
    from hwloop.devices.lease import Holder
    from hwloop.devices.transports.ssh_trust import ShownKey
    from hwloop.records import DeviceFacts, Evidence

app = typer.Typer(
    help="Show the fleet, check it, pin host keys, free devices and their disks. Alone: `list`.",
    rich_markup_mode=None,
)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME|TAG]...", help="Without one, the whole fleet.")]
FleetFile = Annotated[Path | None, typer.Option("--devices", help="The fleet file, in place of ./devices.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]

EVIDENCE_S = 30.0
AT_ONCE = 16


@app.callback(invoke_without_command=True)
def _alone(context: typer.Context, as_json: AsJson = False) -> None:
    if context.invoked_subcommand is None:
        list_devices(as_json=as_json)
    elif as_json:
        raise UsageError("--json stands before the command", remedy="Write it behind: hwloop devices list --json")


@app.command("list", epilog="Example: hwloop devices list --json")
def list_devices(names: Names = None, devices: FleetFile = None, as_json: AsJson = False) -> None:
    """Show the devices of the fleet, and which are quarantined; none is connected to."""
    from hwloop.devices.fleet import load_fleet
    from hwloop.devices.quarantine import quarantined
    from hwloop.paths import store_path

    fleet = load_fleet(devices)
    chosen = fleet.select(names or [])
    ill = quarantined(store_path())
    if as_json:
        states = {name: asdict(record) for name, record in ill.items()}
        print_json(
            [
                {"name": one.name, **one.settings.model_dump(mode="json"), "quarantine": states.get(one.name)}
                for one in chosen
            ]
        )
        return
    from rich.table import Table

    table = Table("device", "transport", "address", "tags", "runtimes", box=None, pad_edge=False)
    for device in chosen:
        settings = device.settings
        tags, runtimes = ", ".join(settings.tags), ", ".join(settings.runtimes)
        table.add_row(device.name, settings.transport, device.address, tags, runtimes)
    _console().print(table)
    for name in [device.name for device in chosen if device.name in ill]:
        typer.echo(f"{name} is quarantined since {ill[name].since}: {ill[name].reason}")
        typer.echo(f"  It is left alone until it answers: hwloop devices check {name}")
    say(f"From {fleet.source}." if fleet.source else "There is no devices.yaml: the fleet is this machine alone.")


@app.command(epilog="Example: hwloop devices check pi4")
def check(names: Names = None, devices: FleetFile = None, as_json: AsJson = False) -> None:
    """Connect to each device and say whether hwloop can use it; exit code 3 if one cannot be."""
    from hwloop.devices import quarantine
    from hwloop.paths import store_path

    found = [_checked(answer) for answer in _ask_each(names, devices)]
    for one in found:
        if one.ok and quarantine.lift(store_path(), one.device):
            say(f"{one.device}: its quarantine is lifted.")
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        width = max(len(one.device) for one in found)
        for one in found:
            used = f" (in use by {one.holder})" if one.holder else ""
            typer.echo(f"{one.device:<{width}}  {'; '.join(one.problems) or 'OK'}{used}")
            if one.remedy:
                typer.echo(f"{'':<{width}}  {one.remedy}")
    if not all(one.ok for one in found):
        raise typer.Exit(DEVICE_FAILED)


@app.command(epilog="Example: hwloop devices facts local --json")
def facts(names: Names = None, devices: FleetFile = None, as_json: AsJson = False) -> None:
    """Show what each device is, and its state right now; exit code 3 if one cannot be asked."""
    answers = _ask_each(names, devices)
    if as_json:
        print_json(
            [
                {
                    "device": answer.device.name,
                    "facts": answer.facts and asdict(answer.facts),
                    "evidence": answer.evidence and asdict(answer.evidence),
                    "error": str(answer.error) if answer.error else None,
                }
                for answer in answers
            ]
        )
    else:
        for answer in answers:
            _print_facts(answer)
    if any(answer.error for answer in answers):
        raise typer.Exit(DEVICE_FAILED)


@app.command(epilog="Example: hwloop devices trust kitchen-pi --fingerprint SHA256:q0kb...")
def trust(
    name: Annotated[str, typer.Argument(help="A device of the fleet.")],
    fingerprint: Annotated[
        list[str] | None,
        typer.Option(help="Pin only a key with this fingerprint, without asking; repeat it for jump hosts."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Pin whatever key is shown, without asking.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Also pin a key that is not the pinned one.")] = False,
    devices: FleetFile = None,
    as_json: AsJson = False,
) -> None:
    """Pin the host keys of a device and of the jump hosts before it, after showing their fingerprints."""
    from hwloop.deadline import Deadline
    from hwloop.devices.fleet import SshDevice, load_fleet

    fleet = load_fleet(devices)
    chosen = [device for device in fleet.select([name]) if device.name == name]
    if not chosen:
        raise UsageError(f"{name!r} is a tag, and keys are pinned for one device at a time")
    settings = chosen[0].settings
    if not isinstance(settings, SshDevice):
        if as_json:
            print_json([])
        say(f"{name} needs no pinned host key: it is {chosen[0].address}.")
        return
    from hwloop.devices.transports.ssh_trust import trust_device

    def accept(shown: ShownKey) -> bool:
        return _accepts(name, shown, fingerprint or [], yes)

    # A person who compares fingerprints takes a while; each server has its own time from there on.
    deadline = Deadline.after(settings.connect_timeout_s + (0 if yes or fingerprint else 600))
    seen = trust_device(name, settings, accept, deadline, replace=replace)
    if as_json:
        print_json([asdict(shown) for shown in seen])
        return
    for shown in seen:
        done = "was pinned already" if shown.state == "pinned" else "is pinned now"
        typer.echo(f"{shown.address}: {shown.key_type} {shown.fingerprint} {done}.")


def _accepts(device: str, shown: ShownKey, wanted: Sequence[str], yes: bool) -> bool:
    if wanted:
        if shown.fingerprint in wanted:
            return True
        raise HostKeyError(
            device,
            f"{shown.address} shows {shown.key_type} {shown.fingerprint}, which is not the given fingerprint",
            fingerprint=shown.fingerprint,
            remedy="Somebody may be listening in, or the fingerprint is that of another key.",
        )
    say(f"{shown.address} shows the {shown.state} host key {shown.key_type} {shown.fingerprint}")
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody can be asked here whether that is the right key",
            remedy=f"Compare it, then: hwloop devices trust {device} --fingerprint {shown.fingerprint}",
        )
    return typer.confirm("Is that the server's own fingerprint, and shall it be trusted?", err=True)


@dataclass(frozen=True)
class _Answer:
    """What a device said: its facts and its state, or the error that came of asking."""

    device: Device
    facts: DeviceFacts | None = None
    evidence: Evidence | None = None
    error: HwloopError | None = None
    holder: Holder | None = None


def _ask_each(names: list[str] | None, file: Path | None) -> list[_Answer]:
    """Ask every chosen device, all at once; the answers come in the order of the fleet."""
    from concurrent.futures import ThreadPoolExecutor

    from hwloop.cli.progress import busy
    from hwloop.devices.fleet import load_fleet

    chosen = load_fleet(file).select_reached(names or [])
    title = f"Asking {len(chosen)} device{'s' if len(chosen) != 1 else ''}"
    with busy(title), ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(_ask, chosen))


def _ask(device: Device) -> _Answer:
    from hwloop.deadline import Deadline
    from hwloop.devices.transports.factory import open_session

    try:
        session = open_session(device, say)
        try:
            evidence = session.evidence(Deadline.after(EVIDENCE_S))
            return _Answer(device, session.facts, evidence, holder=session.holder())
        finally:
            session.close()
    except HwloopError as error:
        return _Answer(device, error=error)


@dataclass(frozen=True)
class _Check:
    device: str
    ok: bool
    problems: list[str]
    remedy: str
    holder: str | None = None


def _checked(answer: _Answer) -> _Check:
    from hwloop.devices.checks import general_problems, target_problems

    name, target = answer.device.name, answer.device.settings.target
    if answer.error:
        # The column names the device already.
        return _Check(name, False, [str(answer.error).removeprefix(f"device {name}: ")], answer.error.remedy)
    assert answer.facts
    problems = [*general_problems(answer.facts)]
    problems += target_problems(answer.facts, target.record()) if target else []
    remedy = f"`hwloop devices facts {name}` shows what it has." if problems else ""
    return _Check(name, not problems, problems, remedy, str(answer.holder) if answer.holder else None)


def _print_facts(answer: _Answer) -> None:
    typer.echo(answer.device.name)
    if answer.error:
        typer.echo(f"  {answer.error}\n  {answer.error.remedy}".rstrip())
        return
    assert answer.facts and answer.evidence
    for key, value in {**asdict(answer.facts), **asdict(answer.evidence)}.items():
        typer.echo(f"  {key:<24} {_shown(key, value)}")


def _shown(key: str, value: object) -> str:
    if value is None:
        return "-"
    if key.endswith("_bytes") and isinstance(value, int):
        return f"{value / 1e6:,.0f} MB"
    if key in ("glibc", "python") and isinstance(value, tuple):
        return ".".join(map(str, value))
    if isinstance(value, tuple):
        return " ".join(f"{one:.0f}" if isinstance(one, float) else str(one) for one in value) or "-"
    return str(value) or "-"


def _console() -> Console:
    from rich.console import Console

    return Console(soft_wrap=not sys.stdout.isatty())


app.command(epilog="Example: hwloop devices release kitchen-pi")(devices_upkeep.release)
app.command(epilog="Example: hwloop devices clean kitchen-pi --everything")(devices_upkeep.clean)

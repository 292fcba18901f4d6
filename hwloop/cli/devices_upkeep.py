"""`hwloop devices release` and `hwloop devices clean`: leases taken away, space given back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hwloop.cli.output import print_json, say
from hwloop.errors import UsageError

Names = Annotated[list[str], typer.Argument(metavar="NAME|TAG...", show_default=False)]
FleetFile = Annotated[Path | None, typer.Option("--devices", help="The fleet file, in place of ./devices.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


def release(
    names: Names,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take a lease away without asking.")] = False,
    devices: FleetFile = None,
    as_json: AsJson = False,
) -> None:
    """Take devices away from whoever measures on them, and lift their quarantine.

    What the holder runs on the device ends; their command waits for the device, or fails.
    """
    from hwloop.devices import quarantine
    from hwloop.devices.fleet import load_fleet
    from hwloop.devices.transports.factory import open_session
    from hwloop.paths import store_path

    released = []
    for device in load_fleet(devices).select_reached(names):
        lifted = quarantine.lift(store_path(), device.name)
        session = open_session(device, say)
        try:
            holder = session.holder()
            if holder is not None:
                say(f"{device.name} is in use by {holder}.")
                _confirm(device.name, yes)
                session.revoke()
        finally:
            session.close()
        owner = holder.owner.as_json() if holder and holder.owner else None
        released.append({"device": device.name, "taken_from": owner, "was_held": holder is not None, "lifted": lifted})
        if not as_json:
            words = "its lease was taken away" if holder else "nobody held it"
            typer.echo(f"{device.name}: {words}" + ("; its quarantine is lifted" if lifted else ""))
    if as_json:
        print_json(released)


def clean(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME|TAG]...", show_default=False)] = None,
    all_devices: Annotated[bool, typer.Option("--all-devices", help="The whole fleet.")] = False,
    everything: Annotated[
        bool, typer.Option("--everything", help="Also what is within the cache's limit: runtimes and models.")
    ] = False,
    devices: FleetFile = None,
    as_json: AsJson = False,
) -> None:
    """Give space back on devices: leftovers, and what the cache holds beyond its limit.

    A device that somebody measures on is left alone (exit code 3).
    """
    from hwloop.deadline import Deadline
    from hwloop.devices.fleet import load_fleet
    from hwloop.devices.lease import Owner
    from hwloop.devices.transports.factory import open_session

    if bool(names) == all_devices:
        raise UsageError("name devices to clean, or --all-devices", remedy="As in: hwloop devices clean kitchen-pi")
    freed = []
    for device in load_fleet(devices).select_reached(names or []):
        session = open_session(device, say)
        try:
            session.lease(Owner.here("cleaning"), Deadline.after(0), wait=False, told=lambda holder: None)
            limit_bytes = 0 if everything else device.settings.cache_limit_bytes
            freed_bytes = session.trim(limit_bytes)
        finally:
            session.close()
        freed.append({"device": device.name, "freed_bytes": freed_bytes})
        if not as_json:
            typer.echo(f"{device.name}: {freed_bytes / 1e6:.1f} MB freed")
    if as_json:
        print_json(freed)


def _confirm(name: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here whether to take it away", remedy=f"hwloop devices release {name} -y")
    typer.confirm("Shall it be taken away?", abort=True, err=True)

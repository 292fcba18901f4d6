"""`hwloop verify`: bundles, here and on devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwloop.cli.compare import one_device
from hwloop.cli.output import BAD_RESULT, print_json, say

if TYPE_CHECKING:
    from hwloop.bundle.checking import OpenedBundle
    from hwloop.bundle.verifying import Proof

VERIFY_S = 900.0


def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What `hwloop export -o` wrote.")],
    device: Annotated[
        str | None, typer.Option("--device", "-d", help="Verify it on this device.  [default: on this machine]")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="PUB", help="Run it only if this public key's owner signed it.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for a device that others measure on.")] = True,
    devices_file: Annotated[
        Path | None, typer.Option("--devices", help="The fleet file, in place of ./devices.yaml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check every file of a bundle, run its reference inputs on its own runtime, and compare the outputs.

    A device gets the bundle, by content, and runs its verify.py with python3 alone. Nothing of a bundle is run before
    its files, and with --key its signature, were found to be right.

    Exit code: 0 good; 1 outputs differ; 2 damaged, not signed by the key, not for the device, or wrong usage; 3 the
    device failed.

    \b
    Examples:
      hwloop verify model.zip
      hwloop verify model.zip -d kitchen-pi
      hwloop verify model.zip --key release.pub --json
    """
    from hwloop.bundle.checking import opened
    from hwloop.cli.progress import busy

    with busy("verifying"), opened(bundle, key) as found:
        proof = _prove(found, device, devices_file, wait=wait)
        item = _item(found, device, proof)
    if as_json:
        print_json(item)
    elif proof.good:
        typer.echo(f"good: {bundle}: {_signature(found)}; outputs differ by at most {proof.output_max_abs_err:.2g}")
    else:
        typer.echo(f"outputs differ: {bundle}: {proof.message}")
    raise typer.Exit(0 if proof.good else BAD_RESULT)


def _prove(found: OpenedBundle, device: str | None, devices_file: Path | None, *, wait: bool) -> Proof:
    from hwloop.bundle.verifying import verify_here, verify_on
    from hwloop.deadline import Deadline

    if device is None:
        return verify_here(found, Deadline.after(VERIFY_S))
    from hwloop.devices.fleet import load_fleet
    from hwloop.devices.transports.factory import open_session
    from hwloop.measure.recovery import Patience
    from hwloop.measure.waiting import take_lease, told_once

    session = open_session(one_device(load_fleet(devices_file).select([device])), say)
    try:
        take_lease(session, "verifying a bundle", Patience(VERIFY_S), told_once(session.name, say), wait=wait)
        return verify_on(session, found, Deadline.after(VERIFY_S))
    finally:
        session.close()


def _item(found: OpenedBundle, device: str | None, proof: Proof) -> dict[str, Any]:
    return {
        "bundle": str(found.path),
        "device": device,
        "verdict": "good" if proof.good else "outputs differ",
        "message": proof.message,
        "output_max_abs_err": proof.output_max_abs_err,
        "signed": found.signed,
        "signed_by": str(found.signed_by) if found.signed_by else None,
        "artifact": found.manifest["artifact"],
    }


def _signature(found: OpenedBundle) -> str:
    if found.signed_by:
        return f"signed by {found.signed_by}"
    return "signed, by whom was not asked (--key)" if found.signed else "not signed"

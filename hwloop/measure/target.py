"""What a device is compiled for, once it is known to be fit for use."""

from __future__ import annotations

from hwloop.devices.checks import general_problems, refuse_unsuited, target_problems
from hwloop.devices.fleet import Device
from hwloop.exporter.device_target import target_for
from hwloop.records import DeviceFacts, Target


def suited_target(device: Device, facts: DeviceFacts) -> Target:
    """Return the target that the fleet file gives a device, else the one that its facts say.

    Raises:
        DeviceUnsuited: hwloop cannot use the device, or it is not what the fleet file says.
    """
    override = device.settings.target.record() if device.settings.target else None
    problems = [*general_problems(facts), *(target_problems(facts, override) if override else ())]
    refuse_unsuited(device.name, problems)
    return override or target_for(facts)

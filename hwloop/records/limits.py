"""How much a device may waver while it is timed, and how long it is waited for before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwloop.records.device import DeviceFacts

RASPBERRY_PI = "Raspberry Pi"


@dataclass(frozen=True)
class Limits:
    """What is still calm. The defaults are those of a board whose processors have one full speed.

    `frequency_moved`: how far the clock of the timed processors may be from its median, as a share of it.
    `temperature_moved_c`: how far the temperature may move during the timed calls of one process, in kelvins.
    `hottest_c`: the highest temperature, in °C. `foreign_load`: the share of the timed processors' time that others
    may take. `waiting`: the share of its time that the timed process may wait for a processor. `settle_s`: how long
    a process waits for a calm device before it is timed all the same; `settle_total_s`: all of them together.
    """

    frequency_moved: float = 0.03
    temperature_moved_c: float = 8.0
    hottest_c: float = 90.0
    foreign_load: float = 0.05
    waiting: float = 0.05
    settle_s: float = 20.0
    settle_total_s: float = 120.0


BOARD = Limits()
# It caps its clock from 80 °C on.
PI = Limits(hottest_c=79.0)
# Laptops, desktops and servers: turbo lets clock and temperature wander, a desktop's own programs come and go.
COMPUTER = Limits(
    frequency_moved=0.15,
    temperature_moved_c=25.0,
    hottest_c=98.0,
    foreign_load=0.1,
    waiting=0.1,
    settle_s=2.0,
    settle_total_s=6.0,
)


def usual_limits(facts: DeviceFacts) -> Limits:
    """Return the limits of this kind of device."""
    if RASPBERRY_PI in facts.cpu_model:
        return PI
    return COMPUTER if facts.machine in ("x86_64", "i686") else BOARD

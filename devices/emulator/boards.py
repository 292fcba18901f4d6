"""The boards that can be emulated, and the files that make them look like boards."""

from __future__ import annotations

from dataclasses import dataclass

from hwloop.errors import UsageError


@dataclass(frozen=True)
class Board:
    """A board: QEMU's name of its CPU, the part number that its kernel shows, its cores, its usual port."""

    name: str
    model: str
    qemu_cpu: str
    cpu_part: str
    cores: int
    port: int

    def files(self) -> dict[str, str]:
        """Return the board's own files below `/` that hide the host's: content by path."""
        everyone = f"0-{self.cores - 1}\n"
        files = {
            "proc/cpuinfo": self._cpuinfo(),
            "sys/firmware/devicetree/base/model": self.model,
            "sys/devices/system/cpu/possible": everyone,
            "sys/devices/system/cpu/present": everyone,
            "sys/devices/system/cpu/online": everyone,
            "sys/devices/system/cpu/kernel_max": f"{self.cores - 1}\n",
        }
        for core in range(self.cores):
            folder = f"sys/devices/system/cpu/cpu{core}/topology"
            files |= {
                f"{folder}/core_id": f"{core}\n",
                f"{folder}/physical_package_id": "0\n",
                f"{folder}/core_siblings_list": everyone,
                f"{folder}/package_cpus_list": everyone,
                f"{folder}/thread_siblings_list": f"{core}\n",
                f"{folder}/core_cpus_list": f"{core}\n",
                f"{folder}/cluster_id": "0\n",
                f"{folder}/cluster_cpus_list": everyone,
            }
        return files

    def _cpuinfo(self) -> str:
        core = (
            "processor\t: {number}\n"
            "BogoMIPS\t: 108.00\n"
            "Features\t: fp asimd evtstrm crc32 cpuid\n"
            "CPU implementer\t: 0x41\n"
            "CPU architecture: 8\n"
            "CPU variant\t: 0x0\n"
            f"CPU part\t: {self.cpu_part}\n"
            "CPU revision\t: 3\n\n"
        )
        cores = "".join(core.format(number=number) for number in range(self.cores))
        return f"{cores}Model\t\t: {self.model}\n"


BOARDS = {
    board.name: board
    for board in (
        Board("pi4", "Raspberry Pi 4 Model B (emulated)", "cortex-a72", "0xd08", 4, 22472),
        Board("pi3", "Raspberry Pi 3 Model B (emulated)", "cortex-a53", "0xd03", 4, 22453),
    )
}


def board_named(name: str) -> Board:
    """Return a board.

    Raises:
        UsageError: there is no such board.
    """
    if name not in BOARDS:
        raise UsageError(f"there is no emulated board {name!r}", remedy=f"There are {', '.join(BOARDS)}.")
    return BOARDS[name]

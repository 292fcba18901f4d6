"""The transport to an emulated board: the board is started, then it is SSH like any other."""

from __future__ import annotations

from collections.abc import Callable

from hwloop.deadline import Deadline
from hwloop.devices import emulator
from hwloop.devices.transports.ssh import SshTransport
from hwloop.devices.transports.ssh_config import Hop
from hwloop.devices.trust import PinnedKeys

FIRST_BUILD_S = 1800.0


class EmulatedTransport(SshTransport):
    """Starts a board when it is opened, unless the board runs already; its host key comes from the emulator.

    `say` is told what takes long: the first start builds a root file system, for minutes.
    """

    def __init__(self, device: str, board: str, say: Callable[[str], None]) -> None:
        super().__init__(device, (), PinnedKeys())
        self._board = board
        self._say = say
        self.counted_prefix: tuple[str, ...] = ()

    def open(self, deadline: Deadline) -> None:
        """Start the board and connect.

        Raises:
            EmulatorError: this host cannot emulate it.
        """
        if self.connected:
            return
        endpoint = emulator.up(self._board, deadline, self._say)
        self.counted_prefix = endpoint.counted_prefix
        self._hops = (
            Hop(
                self.device,
                endpoint.host,
                endpoint.port,
                endpoint.user,
                (endpoint.key_file,),
                use_agent=False,
            ),
        )
        self._pinned = PinnedKeys(given={self.device: endpoint.host_key})
        super().open(deadline)

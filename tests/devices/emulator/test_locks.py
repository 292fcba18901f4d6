from __future__ import annotations

from pathlib import Path

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.emulator.locks import locked
from hwloop.errors import EmulatorError


def test_a_second_holder_waits_until_its_deadline(tmp_path: Path):
    with (
        locked(tmp_path / "lock", Deadline.after(1)),
        pytest.raises(EmulatorError, match="still at work"),
        locked(tmp_path / "lock", Deadline.after(0.1)),
    ):
        pass


def test_a_lock_is_free_again_after_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="oops"), locked(tmp_path / "lock", Deadline.after(1)):
        raise ValueError("oops")
    with locked(tmp_path / "lock", Deadline.after(0)):
        pass

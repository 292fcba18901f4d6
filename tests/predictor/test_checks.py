"""What may not be learned from together."""

import pytest

from hwloop.errors import UsageError
from hwloop.predictor.checks import check_alike


def test_rows_of_one_device_and_protocol_are_fine():
    check_alike([("pi4", "onnxruntime")] * 3, ["device", "runtime"])


def test_mixed_devices_are_named():
    with pytest.raises(UsageError, match="2 different values of device in one fit: local, pi4") as caught:
        check_alike([("pi4", "tvm"), ("local", "tvm")], ["device", "runtime"])
    assert caught.value.remedy == "Choose the measurements of one device."

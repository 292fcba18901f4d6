"""Every transport keeps the contract; the fake fails when it is told to."""

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.transports.fake import FakeTransport, Faults
from hwloop.devices.transports.local import LocalTransport
from hwloop.devices.transports.ssh import Hop, SshTransport
from hwloop.devices.trust import PinnedKeys
from hwloop.errors import DeviceDiskFull, DeviceRefused, DeviceTimeout, DeviceUnreachable
from hwloop.testing.sshd import running_sshd
from hwloop.testing.transport import TransportContract, limit


@pytest.fixture(scope="module")
def server():
    with running_sshd() as running:
        yield running


class TestLocalTransport(TransportContract):
    @pytest.fixture
    def transport(self):
        transport = LocalTransport("here")
        transport.open(limit())
        yield transport
        transport.close()


class TestFakeTransport(TransportContract):
    @pytest.fixture
    def transport(self):
        transport = FakeTransport("fake")
        transport.open(limit())
        yield transport
        transport.close()


class TestSshTransport(TransportContract):
    @pytest.fixture
    def transport(self, server):
        hop = Hop("box", server.host, server.port, server.user, (server.key_file,), use_agent=False)
        transport = SshTransport("box", [hop], PinnedKeys(given={"box": server.host_key}))
        transport.open(limit())
        yield transport
        transport.close()


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (Faults(unreachable=True), DeviceUnreachable),
        (Faults(refused=True), DeviceRefused),
        (Faults(silent=True), DeviceTimeout),
    ],
)
def test_a_fake_device_cannot_be_opened_when_told_so(faults, error):
    with pytest.raises(error, match="fake"):
        FakeTransport("fake", faults).open(limit())


def test_a_fake_device_is_lost_after_some_operations(tmp_path):
    transport = FakeTransport("fake", Faults(lost_after=1))
    process = transport.start(["sleep", "1000"], limit())
    with pytest.raises(DeviceUnreachable, match="lost"):
        transport.run(["true"], limit())
    assert process.wait(Deadline.after(5)) < 0
    assert transport.operations == ["start sleep", "run true"]


def test_a_fake_device_runs_out_of_room(tmp_path):
    (tmp_path / "source").write_bytes(b"x" * 100)
    transport = FakeTransport("fake", Faults(disk_bytes=150))
    transport.put(tmp_path / "source", str(tmp_path / "one"), limit())
    with pytest.raises(DeviceDiskFull):
        transport.put(tmp_path / "source", str(tmp_path / "two"), limit())
    assert not (tmp_path / "two").exists()


def test_a_fake_device_says_garbage_first():
    transport = FakeTransport("fake", Faults(garbage=b"%%% no JSON"))
    process = transport.start(["echo", "sense"], limit())
    assert [process.read_line(limit()), process.read_line(limit())] == [b"%%% no JSON", b"sense"]
    transport.close()

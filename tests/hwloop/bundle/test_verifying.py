"""A bundle proves itself here and on devices that have python3 and nothing else."""

import sys

import pytest

from hwloop.bundle.building import make_bundle
from hwloop.bundle.checking import opened
from hwloop.bundle.sourcing import goods_of, place_of
from hwloop.bundle.verifying import verify_here, verify_on
from hwloop.deadline import Deadline
from hwloop.devices.fleet import Device, EmulatedDevice
from hwloop.devices.session import DeviceSession, SessionOptions
from hwloop.devices.transports.factory import open_session
from hwloop.devices.transports.fake import FakeTransport, Faults
from hwloop.devices.transports.ssh import Hop, SshTransport
from hwloop.devices.trust import PinnedKeys
from hwloop.errors import DeviceUnreachable, UsageError
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.measure.workload import load_workloads
from hwloop.store import Store
from hwloop.testing.models import conv_net
from hwloop.testing.sshd import running_sshd

PI4 = Device("pi4", EmulatedDevice(transport="emulated", board="pi4"))


def soon():
    return Deadline.after(300)


@pytest.fixture(scope="module")
def server():
    with running_sshd() as running:
        yield running


@pytest.fixture
def session(tmp_path):
    """Open a session on this machine through a transport; it has a cache of its own."""
    sessions = []

    def through(transport):
        session = DeviceSession("box", transport, SessionOptions(sys.executable, str(tmp_path / "cache")))
        sessions.append(session)
        session.open(soon())
        return session

    yield through
    for one in sessions:
        one.close()


def ssh_to(server):
    hop = Hop("box", server.host, server.port, server.user, (server.key_file,), use_agent=False)
    return SshTransport("box", [hop], PinnedKeys(given={"box": server.host_key}))


@pytest.mark.parametrize(("kind", "runtime"), [("fake", "tvm"), ("ssh", "tvm"), ("ssh", "onnxruntime")])
def test_a_bundle_is_good_over_a_transport(goods, session, server, tmp_path, kind, runtime):
    path = make_bundle(goods(runtime), tmp_path / "bundle").path
    device = session(FakeTransport("box") if kind == "fake" else ssh_to(server))
    with opened(path) as bundle:
        proof = verify_on(device, bundle, soon())
        assert proof.good, proof.message
        assert proof.output_max_abs_err < 1e-4
        assert device.pushed_bytes > 0


def test_a_bundle_is_pushed_once(original, session):
    device = session(FakeTransport("box"))
    with opened(original) as bundle:
        assert verify_on(device, bundle, soon()).good
        sent_bytes = device.pushed_bytes
        assert verify_on(device, bundle, soon()).good
    assert device.pushed_bytes == sent_bytes


@pytest.mark.parametrize("kind", ["here", "fake"])
def test_wrong_outputs_are_told(bundle, change, session, kind):
    (bundle / "reference" / "output-0.bin").write_bytes(bytes(1024))
    change(bundle, files=["reference/output-0.bin"])
    with opened(bundle) as found:
        proof = (
            verify_here(found, soon()) if kind == "here" else verify_on(session(FakeTransport("box")), found, soon())
        )
    assert not proof.good
    assert "output 'a1':" in proof.message


def test_a_bundle_for_another_machine_is_refused_before_anything_is_pushed(bundle, change, session):
    change(bundle, lambda manifest: manifest["target"].update(machine="riscv64"))
    device = session(FakeTransport("box"))
    with opened(bundle) as found:
        with pytest.raises(UsageError, match="refused here: the bundle is for riscv64"):
            verify_here(found, soon())
        with pytest.raises(UsageError, match="refused on box: the bundle is for riscv64"):
            verify_on(device, found, soon())
    assert device.pushed_bytes == 0


def test_a_device_that_is_lost_meanwhile_is_no_verdict(original, session):
    transport = FakeTransport("box", Faults(lost_after=4))
    device = session(transport)
    with opened(original) as found, pytest.raises(DeviceUnreachable):
        verify_on(device, found, soon())


@pytest.mark.emulated
@pytest.mark.timeout(900)
@pytest.mark.parametrize("runtime", [Tvm, pytest.param(OnnxRuntime, marks=pytest.mark.slow)])
def test_a_bundle_is_good_on_an_emulated_raspberry_pi(tmp_path, runtime):
    (workload,) = load_workloads([conv_net(tmp_path / "conv.onnx")], {}, {}, seed=0)
    with Store.open(tmp_path / "store.sqlite") as store:
        made_of = goods_of(workload, runtime(), place_of(PI4, print), store, print)
    path = make_bundle(made_of, tmp_path / "bundle.tar.gz").path
    session = open_session(PI4, print)
    try:
        with opened(path) as bundle:
            assert bundle.manifest["target"]["cpu"] == "cortex-a72"
            proof = verify_on(session, bundle, Deadline.after(600))
    finally:
        session.close()
    assert proof.good, proof.message
    assert proof.output_max_abs_err < 1e-4

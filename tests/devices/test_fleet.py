"""The fleet file: what is found, what is refused and how it is told."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hwloop.devices.fleet import BundleDevice, Device, EmulatedDevice, Fleet, LocalDevice, SshDevice, load_fleet
from hwloop.errors import ConfigError, Problem, UsageError
from hwloop.records import DeviceFacts, Limits, TimingProtocol, usual_limits

SHIPPED = Path(__file__).parents[2] / "devices.yaml"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HWLOOP_DEVICES", raising=False)
    monkeypatch.setenv("HWLOOP_CONFIG_DIR", str(tmp_path / "config"))


def problems_of(text: str | bytes) -> list[Problem]:
    file = Path("devices.yaml")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_fleet(file)
    return list(caught.value.problems)


def the_problem_of(text: str | bytes) -> Problem:
    (problem,) = problems_of(text)
    return problem


def facts(machine: str = "aarch64", cpu_model: str = "") -> DeviceFacts:
    return DeviceFacts(machine, "6.1", (2, 36), (3, 11, 2), cpu_model, "", (), 4, 4 << 30, 8 << 30, "/cache", "board")


def names(fleet: Fleet) -> list[str]:
    return [device.name for device in fleet.devices]


class TestTheFileIsFound:
    def test_nowhere_then_the_fleet_is_this_machine(self):
        fleet = load_fleet()
        assert names(fleet) == ["local"]
        assert isinstance(fleet.devices[0].settings, LocalDevice)
        assert fleet.source is None

    def test_in_the_configuration_folder(self, tmp_path: Path):
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "devices.yaml").write_text("devices: {mine: {transport: local}}")
        assert names(load_fleet()) == ["mine"]

    def test_in_the_working_folder_first(self, tmp_path: Path):
        self.test_in_the_configuration_folder(tmp_path)
        Path("devices.yaml").write_text("devices: {here: {transport: local}}")
        assert names(load_fleet()) == ["here"]

    def test_where_the_environment_says(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        Path("devices.yaml").write_text("devices: {here: {transport: local}}")
        other = tmp_path / "other.yaml"
        other.write_text("devices: {there: {transport: local}}")
        monkeypatch.setenv("HWLOOP_DEVICES", str(other))
        assert names(load_fleet()) == ["there"]
        assert names(load_fleet(Path("devices.yaml"))) == ["here"]

    def test_a_named_file_must_exist(self):
        with pytest.raises(ConfigError) as caught:
            load_fleet(Path("nowhere.yaml"))
        assert "nowhere.yaml" in str(caught.value)
        assert "No such file" in caught.value.problems[0].message


class TestTheShippedFile:
    def test_has_this_machine_and_two_emulated_boards(self):
        fleet = load_fleet(SHIPPED)
        assert names(fleet) == ["local", "pi4", "pi3"]
        assert [device.emulated for device in fleet.devices] == [False, True, True]

    def test_its_examples_are_valid_when_uncommented(self, tmp_path: Path):
        lines = []
        for line in SHIPPED.read_text().splitlines():
            example = re.match(r"  # ((?:  )*[a-z0-9_-]+:( .*)?)$", line)
            lines.append(f"  {example[1]}" if example else line)
        file = tmp_path / "examples.yaml"
        file.write_text("\n".join(lines))
        fleet = load_fleet(file)
        assert names(fleet) == ["local", "pi4", "pi3", "kitchen-pi", "jetson", "airgapped", "box"]
        jetson, lab = fleet.devices[4].settings, fleet.devices[6].settings
        assert isinstance(jetson, SshDevice) and jetson.target
        assert jetson.target.record().glibc == (2, 35)
        assert isinstance(lab, SshDevice) and lab.jump == "me@gateway.example.org:2222"


class TestMistakes:
    def test_are_told_all_at_once_with_their_lines(self):
        found = problems_of(
            "devices:\n"
            "  board:\n"
            "    transport: ssh\n"
            "    prot: 22\n"
            "    port: 99999\n"
            "    tags: pi\n"
            "  other:\n"
            "    transport: emulated\n"
            "    board: pi9\n"
        )
        assert [(problem.path, problem.line) for problem in found] == [
            ("devices.board.host", 2),
            ("devices.board.prot", 4),
            ("devices.board.port", 5),
            ("devices.board.tags", 6),
            ("devices.other.board", 9),
        ]
        assert all(problem.message and problem.remedy for problem in found)

    def test_an_unknown_key_is_met_with_the_nearest(self):
        problem = the_problem_of("devices: {a: {transport: ssh, host: x, prot: 22}}")
        assert problem.message == "unknown key"
        assert "`port`" in problem.remedy
        assert problem.value == "22"

    def test_an_unknown_transport_is_met_with_the_nearest(self):
        problem = the_problem_of("devices: {a: {transport: shh, host: x}}")
        assert (problem.path, problem.value) == ("devices.a.transport", "shh")
        assert "`ssh`" in problem.remedy

    @pytest.mark.parametrize("key", ["password", "passphrase", "sudo_password", "api_token", "secret", "private_key"])
    def test_secrets_are_refused_and_not_shown(self, key: str):
        problem = the_problem_of(f"devices: {{a: {{transport: ssh, host: x, {key}: hunter2}}}}")
        assert "secrets" in problem.message
        assert "agent" in problem.remedy
        assert "hunter2" not in repr(problem)

    def test_a_password_inside_of_a_host_is_not_shown(self):
        assert "hunter2" not in repr(problems_of("devices: {a: {transport: ssh, host: 'pi:hunter2@board'}}"))

    @pytest.mark.parametrize(
        "entry",
        [
            "port: 0",
            "port: 65536",
            "port: '22'",
            "port: true",
            "threads: 0",
            "threads: 1.5",
            "connect_timeout_s: 0",
            "connect_timeout_s: .inf",
            "connect_timeout_s: .nan",
            "connect_timeout_s: 1e9",
            "cache_dir: relative",
            "host: pi@board",
            "host: -oProxyCommand=x",
            "user: 1000",
            "user: -l",
            "jump: a b",
            "jump: ''",
            "jump: a:99999",
            "jump: 'a,,b'",
            "jump: -oProxyCommand=x",
            "tags: [ok, 'not ok']",
            "runtimes: []",
            "runtimes: [onxruntime]",
            "python: -c",
            "target: aarch64",
            "target: {triple: aarch64-linux-gnu, cpu: cortex-a72, glibc: 2.30}",
            "target: {triple: aarch64-linux-gnu, cpu: cortex-a72, features: [neon]}",
            "target: {triple: aarch64-linux-gnu, cpu: cortex-a72, num_cores: 0}",
        ],
    )
    def test_every_value_has_its_limits(self, entry: str):
        key = entry.split(":")[0]
        host = "" if key == "host" else "host: x, "
        problem = the_problem_of(f"devices: {{a: {{transport: ssh, {host}{entry}}}}}")
        assert problem.path.startswith(f"devices.a.{key}")
        assert problem.remedy

    @pytest.mark.parametrize("name", ["a b", "-a", "a/b", "", "a" * 65, "é"])
    def test_names_are_plain(self, name: str):
        problem = the_problem_of(yaml.safe_dump({"devices": {name: {"transport": "local"}}}))
        assert "name" in problem.message

    @pytest.mark.parametrize(
        ("text", "line", "words"),
        [
            ("", 1, "empty"),
            ("# nothing\n", 1, "empty"),
            ("- a\n", 1, "no mapping"),
            ("devices:\n", 1, "no mapping"),
            ("devices: []\n", 1, "no mapping"),
            ("devices: {}\n", 1, "no mapping"),
            ("devices:\n  a: 3\n", 2, "no mapping"),
            ("devices:\n  5: {transport: local}\n", 2, "no text"),
            ("devices:\n  a: {tags: [x]}\n", 2, "`transport` is missing"),
            ("devices:\n  a: {transport: local}\n  a: {transport: local}\n", 3, "twice; first in line 2"),
            ("devices:\n  a: {transport: [}\n", 2, "not YAML"),
            ("devices:\n\ta: 3\n", 2, "not YAML"),
            ("devices:\n  a: *b\n", 2, "not YAML"),
            ("devices: &a {x: *a}\n", 1, "alias"),
            ("devices:\n  a: !!python/object/apply:os.system [ls]\n", 2, "not YAML"),
            ("a: 1\n---\nb: 2\n", 2, "not YAML"),
            ("[" * 3000, 1, "nested too deeply"),
            (b"ok: \x00\x01\n", 1, "not YAML"),
            (b"\x7fELF\x02\xff\xfe", 1, "UTF-8"),
            (b"a" * (2 << 20), 0, "no fleet file"),
        ],
    )
    def test_what_is_no_fleet_file(self, text: str | bytes, line: int, words: str):
        problem = the_problem_of(text)
        assert words in problem.message
        assert problem.line == line
        assert problem.remedy

    def test_a_misspelt_top_key_is_told(self):
        found = problems_of("device: {a: {transport: local}}")
        assert "`devices`" in found[0].remedy

    def test_a_folder_is_no_file(self, tmp_path: Path):
        with pytest.raises(ConfigError):
            load_fleet(tmp_path)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["devices", "transport", "host", "local", "target", "tags"]), inner, max_size=3
                )
            ),
            max_leaves=8,
        )
    )
    def test_nothing_but_config_errors_come_of_any_yaml(self, value: object):
        file = Path("any.yaml")
        file.write_text(yaml.safe_dump(value), encoding="utf-8")
        try:
            load_fleet(file)
        except ConfigError as error:
            assert error.problems


class TestLimits:
    def of(self, text: str) -> Device:
        Path("devices.yaml").write_text(text)
        return load_fleet().devices[0]

    def test_are_those_of_the_kind_of_device(self):
        device = self.of("devices: {a: {transport: ssh, host: x}}")
        assert device.limits(facts(cpu_model="Raspberry Pi 4 Model B Rev 1.4")).hottest_c == 79.0
        assert device.limits(facts(cpu_model="NVIDIA Jetson Orin Nano")) == Limits()
        computer = device.limits(facts(machine="x86_64"))
        assert computer.frequency_moved > Limits().frequency_moved
        assert computer.settle_total_s < Limits().settle_total_s

    def test_are_replaced_one_by_one(self):
        device = self.of("devices: {a: {transport: local, limits: {foreign_load: 0.2, hottest_c: 70}}}")
        usual = usual_limits(facts())
        assert device.limits(facts()) == replace(usual, foreign_load=0.2, hottest_c=70.0)

    @pytest.mark.parametrize(
        ("entry", "line", "words"),
        [
            ("{transport: local,\n    limits: {\n      foreign_lod: 0.2}}", 4, "`foreign_load`"),
            ("{transport: local,\n    limits: {\n      foreign_load: 20}}", 4, "a share, 0 to 1"),
            ("{transport: local,\n    limits: {\n      hottest_c: 70 C}}", 4, "a temperature in °C"),
            ("{transport: local,\n    limits: {\n      settle_s: .nan}}", 4, "seconds, up to 3600"),
            ("{transport: local,\n    limits: 3}", 3, "a mapping of frequency_moved,"),
            ("{transport: emulated, board: pi4,\n    limits: {hottest_c: 70}}", 3, "Known keys: "),
        ],
    )
    def test_a_mistake_is_told_with_its_line(self, entry: str, line: int, words: str):
        problem = the_problem_of(f"devices:\n  a: {entry}\n")
        assert problem.line == line
        assert problem.path.startswith("devices.a.limits")
        assert words in problem.remedy


class TestTiming:
    PROTOCOL = TimingProtocol(seconds=7.0, threads=2)

    def of(self, entry: str) -> Device:
        Path("devices.yaml").write_text(f"devices: {{a: {entry}}}")
        return load_fleet().devices[0]

    def test_is_by_the_protocol_where_the_file_says_nothing(self):
        assert self.of("{transport: local}").timing(self.PROTOCOL) == self.PROTOCOL
        assert self.of("{transport: emulated, board: pi4}").timing(self.PROTOCOL) == self.PROTOCOL

    def test_threads_and_full_speed_are_the_devices_own(self):
        device = self.of("{transport: local, threads: 4, full_speed: true}")
        assert device.timing(self.PROTOCOL) == replace(self.PROTOCOL, threads=4, full_speed=True)

    @pytest.mark.parametrize("entry", ["{transport: local, full_speed: 1}", "{transport: local, full_speed: maybe}"])
    def test_full_speed_is_true_or_false(self, entry: str):
        problem = the_problem_of(f"devices: {{a: {entry}}}")
        assert problem.path == "devices.a.full_speed" and "`full_speed` is true where" in problem.remedy

    def test_an_emulated_board_has_none(self):
        assert (
            "Known keys" in the_problem_of("devices: {a: {transport: emulated, board: pi4, full_speed: true}}").remedy
        )


class TestByHand:
    TARGET = "target: {triple: aarch64-linux-gnu, cpu: cortex-a72}"

    def test_a_device_says_what_cannot_be_asked(self):
        Path("devices.yaml").write_text(f"devices: {{a: {{transport: bundle, python: '3.9', {self.TARGET}}}}}")
        (device,) = load_fleet().devices
        assert isinstance(device.settings, BundleDevice)
        assert device.settings.python_version == (3, 9)
        assert device.settings.target.record().machine == "aarch64"
        assert (device.emulated, device.on_this_host, device.address) == (False, False, "by hand")

    @pytest.mark.parametrize(
        ("entry", "path", "words"),
        [
            ("python: '3.11'", "devices.a.target", "`target` is missing"),
            (TARGET, "devices.a.python", "`python` is missing"),
            (f"python: 3.11, {TARGET}", "devices.a.python", "valid string"),
            (f"python: '3.7', {TARGET}", "devices.a.python", "form that is needed"),
            (f"python: '3.11', host: pi, {TARGET}", "devices.a.host", "unknown key"),
        ],
    )
    def test_what_is_missing_or_too_much_is_told(self, entry: str, path: str, words: str):
        problem = the_problem_of(f"devices: {{a: {{transport: bundle, {entry}}}}}")
        assert problem.path == path
        assert words in problem.message

    def test_what_needs_a_connection_leaves_it_out_unless_it_is_named(self):
        entry = f"{{transport: bundle, python: '3.9', tags: [far], {self.TARGET}}}"
        Path("devices.yaml").write_text(f"devices: {{a: {{transport: local}}, b: {entry}}}")
        fleet = load_fleet()
        assert [device.name for device in fleet.select_reached()] == ["a"]
        assert [device.name for device in fleet.select_reached(["b"])] == ["b"]
        with pytest.raises(UsageError, match="no connection reaches"):
            fleet.select_reached(["far"])


class TestSelecting:
    fleet = Fleet(
        (
            Device("local", LocalDevice(transport="local", tags=("host",))),
            Device("pi4", EmulatedDevice(transport="emulated", board="pi4", tags=("emulated", "arm64"))),
            Device("jetson", SshDevice(transport="ssh", host="j", tags=("arm64",))),
        )
    )

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            ([], ["local", "pi4", "jetson"]),
            (["jetson", "local"], ["local", "jetson"]),
            (["arm64"], ["pi4", "jetson"]),
            (["arm64", "pi4", "pi4"], ["pi4", "jetson"]),
        ],
    )
    def test_by_name_and_tag_in_the_order_of_the_file(self, wanted: list[str], expected: list[str]):
        assert [device.name for device in self.fleet.select(wanted)] == expected

    def test_an_unknown_word_is_met_with_what_there_is(self):
        with pytest.raises(UsageError) as caught:
            self.fleet.select(["jetsn"])
        assert "'jetsn'" in str(caught.value)
        for word in ("Did you mean `jetson`?", "local", "pi4", "arm64", "host"):
            assert word in caught.value.remedy

    def test_a_device_says_where_it_is(self):
        device = Device("x", SshDevice(transport="ssh", host="h", user="u", port=2022, jump="g"))
        assert device.address == "u@h:2022 through g"
        assert not device.on_this_host
        assert self.fleet.devices[0].on_this_host

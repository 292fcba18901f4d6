"""Faults, injected on purpose. Each test ends in bounded time, with a right result or the right error of hwloop.errors.

| fault | where |
|---|---|
| flood of both streams, endless lines, garbage, a command that never ends | test_transport_commands.py |
| descendants that leave their session, guard killed, host killed (SIGKILL) | test_transport_remains.py |
| TCP cut (FIN, RST, blackhole) in a push and in a run, reboot, changed host key | test_transport_cuts.py |
| banner never sent, trickled, garbage, silent or garbled agent | test_transport_banners.py |
| packet loss, delay, a peer that vanishes, a jump host's peer that vanishes | test_transport_network.py |
| disk full, wall clock that jumps | test_transport_host.py |
| connections lost at random, garbage from the runner, in whole measuring runs | test_measure_faults.py |
| host, agent, zygote, job killed (SIGKILL); two hosts, one board | test_measure_kills.py, test_measure_hosts.py |
| store locked, truncated, with flipped bytes | test_store_damage.py |

A test names what it injects: `with fault("tcp reset", seed): …`. What was injected, how often, and the longest time to
an outcome stand in one line at the end of the session.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

Injecting = Callable[..., AbstractContextManager[None]]
# Kind of fault → how long each run took to end, in seconds.
RUNS = pytest.StashKey[dict[str, list[float]]]()


@pytest.fixture
def fault(pytestconfig: pytest.Config) -> Injecting:
    """Return `fault(kind, seed=…, within_s=…)`: notes one run of a fault, and fails if it does not end in time."""
    runs = pytestconfig.stash.setdefault(RUNS, defaultdict(list))

    @contextmanager
    def injecting(kind: str, seed: int | None = None, within_s: float = 60.0) -> Iterator[None]:
        started_s = time.monotonic()
        try:
            yield
        except BaseException as error:
            error.add_note(f"fault: {kind}, seed: {seed}")
            raise
        took_s = time.monotonic() - started_s
        runs[kind].append(took_s)
        assert took_s < within_s, f"{kind}, seed {seed}: ended after {took_s:.1f} s"

    return injecting


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    runs = config.stash.get(RUNS, {})
    if runs:
        longest_s, slowest = max((max(times), kind) for kind, times in runs.items())
        total = sum(len(times) for times in runs.values())
        kinds = ", ".join(f"{kind} x {len(times)}" for kind, times in sorted(runs.items()))
        terminalreporter.write_line(
            f"faults injected: {len(runs)} kinds, {total} runs, longest {longest_s:.1f} s ({slowest}): {kinds}"
        )

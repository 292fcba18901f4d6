"""MetaSchedule's search over one kernel: candidates are built here and timed wherever the caller says.

J. Shao et al., "Tensor Program Optimization with Probabilistic Programs" (NeurIPS 2022).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import tvm
from tvm import ir
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule.runner import PyRunner, RunnerFuture, RunnerInput, RunnerResult

BATCH = 8
POPULATION, GENERATIONS = 64, 3
OTHER_DEVICES = ("cuda", "rocm", "hexagon", "metal", "riscv_cpu")
FAR = 1e9  # seconds of a candidate that failed, as MetaSchedule has it

# From scheduled functions and their traces to seconds a call; None where one cannot be built or fails.
Times = Callable[[Sequence[Any], Sequence[str]], Sequence[float | None]]


@derived_object
class DeviceRunner(PyRunner):
    """Times candidates through `times`, on a device of the fleet."""

    def __init__(self, times: Times, candidates: Sequence[Any]) -> None:
        super().__init__()
        self._times = times
        self._candidates = candidates

    def run(self, runner_inputs: list[RunnerInput]) -> list[RunnerFuture]:
        """Return the results, in the order of the candidates; a failure is one of its candidate alone."""
        schedules = [candidate.sch for candidate in self._candidates]
        functions = [schedule.mod["main"].without_attr("global_symbol") for schedule in schedules]
        traces = [ir.save_json(schedule.trace.as_json()) for schedule in schedules]
        del runner_inputs  # they name files of MetaSchedule's own builder, which is not asked
        return [_finished(seconds) for seconds in self._times(functions, traces)]


def _leave_out_other_devices() -> None:
    """Spare TVM the half minute of processor time in which it reads the intrinsics of GPUs and others.

    It takes an intrinsic's module for there if it was imported, and asks of a CPU's search for none of these.
    """
    for name in OTHER_DEVICES:
        sys.modules.setdefault(f"tvm.s_tir.tensor_intrin.{name}", ModuleType(name))


def search_schedules(kernel: Any, target: Any, trials: int, times: Times) -> None:
    """Search for schedules of a kernel that no rule has touched, by `trials` candidates or what there are."""
    logging.getLogger("tvm").setLevel(logging.ERROR)
    _leave_out_other_devices()
    module = tvm.IRModule({"main": kernel.with_attr("global_symbol", "main")})
    strategy = ms.search_strategy.EvolutionarySearch(
        population_size=POPULATION, genetic_num_iters=GENERATIONS, init_min_unmeasured=BATCH
    )
    context = ms.TuneContext(
        module, target=target, space_generator="post-order-apply", search_strategy=strategy, num_threads=1, rand_state=1
    )
    database = ms.database.MemoryDatabase()
    workload = database.commit_workload(module)
    context.pre_tuning(
        max_trials=trials,
        num_trials_per_iter=min(BATCH, trials),
        design_spaces=context.generate_design_space(),
        database=database,
        cost_model=ms.cost_model.RandomModel(),
    )
    while candidates := context.generate_measure_candidates():
        futures = DeviceRunner(times, list(candidates)).run([])
        results = [future.result() for future in futures]
        for candidate, result in zip(candidates, results, strict=True):
            seconds = result.run_secs or [FAR]
            database.commit_tuning_record(
                ms.database.TuningRecord(candidate.sch.trace, workload, seconds, target, candidate.args_info)
            )
        context.notify_runner_results(list(candidates), results)
    context.post_tuning()


def _finished(seconds: float | None) -> Any:
    result = RunnerResult([seconds], None) if seconds is not None else RunnerResult(None, "failed")
    return RunnerFuture(f_done=lambda: True, f_result=lambda: result)

"""Kernels are made as their schedules say, wherever the same kernel occurs; the results stay the same."""

import numpy as np
import tvm
from tvm import relax

from hwloop.exporter.compiler.kernels import kernels_of
from hwloop.exporter.compiler.machine import machine_for
from hwloop.exporter.compiler.objects import KernelObjects
from hwloop.exporter.compiler.pipeline import building, compile_module, fused_module
from hwloop.exporter.compiler.scheduling import rule_of
from hwloop.exporter.schedules import Tiling, Trace


def words(compiler):
    return tvm.target.Target({"kind": "llvm", "mtriple": compiler.target.triple, "mcpu": compiler.target.cpu})


def kernels(compiler, module):
    return kernels_of(fused_module(module, words(compiler), machine_for(compiler.target)))


def run(compiler, module, x, schedules=None):
    compiled = compile_module(module, words(compiler), machine_for(compiler.target), schedules)
    return relax.VirtualMachine(compiled.executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy(), compiled


def options(compiler, kernel):
    machine = machine_for(compiler.target)
    return rule_of(kernel.function, machine)[0].options(kernel.function, machine)


def layers(weights):
    """Products that follow each other, with the same shapes and other weights."""

    def body(x):
        for weight in weights:
            x = relax.op.nn.relu(relax.op.matmul(x, relax.const(weight)))
        return x

    return body


def test_layers_that_differ_in_weights_alone_are_one_kernel(cpu, module_of, numbers):
    found = kernels(cpu, module_of(layers([numbers(96, 96), numbers(96, 96)]), (10, 96)))
    assert [len(kernel.calls) for kernel in found] == [2]


def test_a_kernel_has_the_same_digest_in_another_model_and_another_one_on_other_sizes(cpu, module_of, numbers):
    first = kernels(cpu, module_of(layers([numbers(96, 96)]), (10, 96)))
    deeper = kernels(cpu, module_of(layers([numbers(96, 96)] * 3), (10, 96)))
    longer = kernels(cpu, module_of(layers([numbers(96, 96)]), (11, 96)))
    assert first[0].digest == deeper[0].digest != longer[0].digest


def some(tilings):
    """The likeliest, the least likely, and one between them."""
    return [tilings[0], tilings[len(tilings) // 2], tilings[-1]]


def assert_tiles_change_nothing(compiler, module, x):
    """Build the module with all its kernels tiled otherwise at once."""
    expected, _ = run(compiler, module, x)
    tiled = {
        kernel.digest: some(found.tilings)
        for kernel in kernels(compiler, module)
        if (found := options(compiler, kernel)).tilings
    }
    assert tiled
    for choice in range(3):
        schedules = {digest: tilings[choice] for digest, tilings in tiled.items()}
        result, compiled = run(compiler, module, x, schedules)
        assert set(compiled.tuned) == set(tiled)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4, err_msg=str(schedules))


def test_other_tiles_give_the_same_numbers_from_weights_that_are_packed_for_them(each_cpu, module_of, numbers):
    weights = [numbers(70, 108), numbers(108, 70)]
    assert_tiles_change_nothing(each_cpu, module_of(layers(weights), (13, 70)), numbers(13, 70))


def test_products_of_two_computed_sides_have_other_tiles_too(cpu, module_of, numbers):
    module = module_of(lambda x: relax.op.matmul(x, relax.op.permute_dims(x, [0, 2, 1])), (3, 20, 33))
    assert_tiles_change_nothing(cpu, module, numbers(3, 20, 33))


def test_convolutions_have_other_tiles(cpu, module_of, numbers):
    weight = relax.const(numbers(24, 8, 3, 3))
    module = module_of(lambda x: relax.op.nn.relu(relax.op.nn.conv2d(x, weight, padding=[1, 1])), (1, 8, 9, 17))
    assert_tiles_change_nothing(cpu, module, numbers(1, 8, 9, 17))


def test_one_core_is_an_option_where_the_rule_takes_all(cpu, module_of, numbers):
    module = module_of(layers([numbers(256, 256)]), (64, 256))
    (kernel,) = kernels(cpu, module)
    assert 1 not in {tiling.cores for tiling in options(cpu, kernel).tilings}
    assert 1 in {tiling.cores for tiling in options(cpu.on(4), kernel).tilings}


def test_a_trace_is_applied_to_the_kernel_that_no_rule_has_touched(cpu, module_of, numbers):
    x = numbers(64, 32)
    module = module_of(layers([numbers(32, 32)]), (64, 32))
    (kernel,) = kernels(cpu, module)
    with building(words(cpu)):
        schedule = tvm.s_tir.Schedule(tvm.IRModule({"main": kernel.function.with_attr("global_symbol", "main")}))
        block = schedule.get_sblock("product")
        schedule.reorder(*reversed(schedule.get_loops(block)[:2]))
    trace = Trace(tvm.ir.save_json(schedule.trace.as_json()))
    result, compiled = run(cpu, module, x, {kernel.digest: trace})
    assert set(compiled.scheduled.values()) == {"metaschedule"}
    np.testing.assert_allclose(result, run(cpu, module, x)[0], rtol=1e-5, atol=1e-5)


def test_a_schedule_of_another_kernel_changes_nothing(cpu, module_of, numbers):
    module = module_of(layers([numbers(96, 96)]), (10, 96))
    _, compiled = run(cpu, module, numbers(10, 96), {"another": Tiling(1, 1)})
    assert compiled.tuned == ()


def test_objects_are_named_by_what_a_kernel_is_whatever_its_model_calls_it(cpu, module_of, numbers, tmp_path):
    def compiled(weights, schedules=None):
        module = module_of(layers(weights), (10, 96))
        machine = machine_for(cpu.target)
        return compile_module(module, words(cpu), machine, schedules, KernelObjects(tmp_path))

    first, deeper = compiled([numbers(96, 40), numbers(40, 96)]), compiled([numbers(96, 40), numbers(40, 96)] * 2)
    assert set(first.objects) == set(deeper.objects) == set(tmp_path.glob("*.o"))
    tuned = compiled([numbers(96, 40), numbers(40, 96)], {first.digests[0]: Tiling(2, 1)})
    assert len(set(tuned.objects) & set(first.objects)) == 1
    other = compiled([numbers(96, 48), numbers(48, 96)])
    assert not set(other.objects) & set(first.objects)

"""The table fits where it is printed, with units that one can read."""

import io

import pytest
from rich.console import Console

from hwloop.cli import units
from hwloop.cli.show import histogram
from hwloop.cli.table import measurement_table
from hwloop.records import Measurement, Summary, Verdict
from hwloop.testing.records import a_failure, a_subject

TIMED = Summary(150, 5.2061, (5.153, 5.24), 5.43, 5.5, 4.8, 81.4, 1.2e-6)
COUNTED = Summary(samples=9, insns_per_call=70_100_347.0)


def a_measurement(summary=TIMED, verdict=Verdict.VALID, reasons=(), failure=None, **changes):
    return Measurement("019c2f5a81e300000000", "", a_subject(**changes), verdict, reasons, summary, failure)


def printed(measurements, width=140, **options):
    console = Console(file=io.StringIO(), width=width)
    console.print(measurement_table(measurements, width=width, **options))
    return console.file.getvalue()


def test_a_row_has_readable_units():
    row = printed([a_measurement()]).splitlines()[-1]
    assert " ".join(row.split()) == "magika local onnxruntime VALID 5.206 ±0.053 5.430 4.800 81 3.10 MB 1.2e-06"


def test_columns_without_any_figure_are_left_out():
    assert "instr" not in printed([a_measurement()])
    counted = printed([a_measurement(COUNTED, emulated=True)])
    assert "70.10 M" in counted and "median" not in counted and "p90" not in counted
    both = printed([a_measurement(), a_measurement(COUNTED, device="rpi4")])
    assert "70.10 M" in both and "median" in both


def test_reasons_and_failures_stand_below_in_full():
    text = printed(
        [
            a_measurement(Summary(0), Verdict.FAILED, failure=a_failure(message="no operator\nLSTM"), runtime="tvm"),
            a_measurement(),
            a_measurement(verdict=Verdict.INVALID, reasons=("it was throttled: cool it", "too few calls")),
        ]
    )
    assert "FAILED 1" in text and "INVALID 2" in text
    assert "1 FAILED magika on local with tvm: unsupported operator: no operator LSTM" in text
    assert "2 INVALID magika on local with onnxruntime: it was throttled: cool it; too few calls" in text


@pytest.mark.parametrize("width", [80, 100, 120, 140])
def test_it_fits_the_width_and_cuts_nothing(width):
    rows = [a_measurement(device="rpi4-emulated"), a_measurement(COUNTED, runtime="tvm")]
    lines = printed(rows, width=width).splitlines()
    assert len(lines) == 5  # a heading of two lines, a rule, and the rows unbroken
    assert all(len(line) <= width and "…" not in line for line in lines)
    assert "5.206 ±0.053" in lines[3]


def test_ids_are_shown_when_asked():
    assert "019c2f5a81e3" in printed([a_measurement()], ids=True)
    assert "019c2f5a81e3" not in printed([a_measurement()])


def test_markup_in_names_is_text():
    assert "[red]net[/red]" in printed([a_measurement(model="[red]net[/red]")])


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (units.median_and_half(0.80171, (0.7964, 0.8070)), "0.8017 ±0.0053"),
        (units.median_and_half(240.86, (239.5, 241.3)), "240.9 ±1.4"),
        (units.median_and_half(5.0, None), "5.000 ± ?"),
        (units.median_and_half(None, None), "-"),
        (units.milliseconds(1234.5), "1234"),
        (units.count(2.16e9), "2.160 G"),
        (units.count(512.0), "512"),
        (units.size(72_000_000), "72.0 MB"),
        (units.size(240), "240"),
        (units.error(0.0), "0"),
        (units.error(None), "-"),
    ],
)
def test_units(shown, text):
    assert shown == text


def test_the_histogram_counts_every_call_and_keeps_an_outlier_from_flattening_it():
    samples = [5.0 + 0.01 * (call % 50) for call in range(1000)] + [900.0]
    lines = histogram(samples)
    counts = [int(line.split()[-1]) for line in lines[:-1]]
    assert sum(counts) == 1001 and len(counts) == 16
    assert "slowest: 900.0 ms" in lines[-1]


def test_the_histogram_of_equal_times_is_one_bar():
    assert len(histogram([5.0] * 30)) == 1

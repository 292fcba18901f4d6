"""Measuring: models on devices with runtimes, from files to the store."""

from hwloop.measure.job import MeasureJob, Observer, Outcome
from hwloop.measure.run import measure
from hwloop.measure.trusted import measure_trusted

__all__ = ["MeasureJob", "Observer", "Outcome", "measure", "measure_trusted"]

"""Measuring: models on devices with runtimes, from files to the store."""

from hwloop.measure.job import MeasureJob, Observer, Outcome
from hwloop.measure.run import measure

__all__ = ["MeasureJob", "Observer", "Outcome", "measure"]

"""Measure neural networks on the devices they will run on."""

from importlib.metadata import version

__version__ = version("hwloop")

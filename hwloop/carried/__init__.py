"""Devices that no connection reaches: jobs written for them, and their results taken in."""

from hwloop.carried.building import build_job
from hwloop.carried.importing import Imported, import_results

__all__ = ["Imported", "build_job", "import_results"]

"""What runs on a device: `runner.py`, one file that needs nothing but Python's standard library."""

from pathlib import Path

RUNNER_FILE = Path(__file__).with_name("runner.py")

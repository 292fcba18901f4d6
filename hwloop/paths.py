"""The folders of the user that hwloop writes to."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """Return the folder for what can be made again (`HWLOOP_CACHE_DIR` overrides it)."""
    return Path(os.environ.get("HWLOOP_CACHE_DIR") or platformdirs.user_cache_dir("hwloop"))


def config_dir() -> Path:
    """Return the folder for devices.yaml and pinned host keys (`HWLOOP_CONFIG_DIR` overrides it)."""
    return Path(os.environ.get("HWLOOP_CONFIG_DIR") or platformdirs.user_config_dir("hwloop"))


def store_path() -> Path:
    """Return the SQLite file of measurements (`HWLOOP_STORE` overrides it)."""
    given = os.environ.get("HWLOOP_STORE")
    return Path(given) if given else Path(platformdirs.user_data_dir("hwloop")) / "measurements.sqlite"

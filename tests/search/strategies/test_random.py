"""Random search."""

import pytest

from hwloop.search.strategies.random import RandomSearch
from hwloop.testing.strategy import StrategyContract


class TestRandomSearch(StrategyContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return RandomSearch

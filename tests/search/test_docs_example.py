"""The space that docs/spaces.md builds keeps the contract of spaces, and is used by its file and name."""

import re
from pathlib import Path

import pytest

from hwloop.search.spaces.registry import load_space
from hwloop.testing.space import SpaceContract

PAGE = Path(__file__).parents[2] / "docs" / "spaces.md"


class TestTheExampleOfTheDocs(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls, tmp_path_factory):
        (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        file = tmp_path_factory.mktemp("example") / "my_space.py"
        file.write_text(block)
        return load_space(f"{file}:DIGITS")

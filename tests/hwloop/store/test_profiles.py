"""Profiles are kept as they were taken, and never changed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.errors import StoreError
from hwloop.records import KernelCost, Profile
from hwloop.store import Store
from hwloop.store.profiles import Profiles

costs = st.floats(0, 1e12)
kernels = st.builds(KernelCost, st.text(max_size=9), st.text(max_size=9), costs, costs)
NAMES = ("model", "model_digest", "artifact_digest", "inputs_digest", "device", "device_identity", "runtime")
words = {
    name: st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
    for name in (*NAMES, "runtime_version", "unit")
}
profiles = st.builds(
    Profile,
    **words,
    threads=st.integers(1, 64),
    calls=st.integers(1, 10_000),
    call=costs,
    kernels=st.lists(kernels, max_size=4).map(tuple),
)


@settings(max_examples=20)  # each opens a file of its own
@given(st.lists(profiles, max_size=3))
def test_profiles_come_back_as_they_were_the_newest_first(tmp_path_factory, taken):
    with Store.open(tmp_path_factory.mktemp("store") / "store.sqlite") as store:
        kept = [Profiles(store).add(one) for one in taken]
        assert Profiles(store).all() == kept[::-1]
        assert [one.profile for one in kept] == taken


def test_a_kept_profile_is_not_changed(tmp_path):
    with Store.open(tmp_path / "store.sqlite") as store:
        Profiles(store).add(Profile("m", "", "", "", "box", "", "tvm", "", 1, "ms", 1, 1.0, ()))
        for sql in ("UPDATE profile SET device = 'other'", "DELETE FROM profile"):
            with pytest.raises(StoreError, match="never changed"), store.transaction() as db:
                db.execute(sql)

"""Pages of a search and of a store to look at, with names as hostile as names can be."""

import math
import os
import shutil
from dataclasses import replace

import pytest
from playwright.sync_api import sync_playwright

from hwloop.records import KernelCost, Profile
from hwloop.report.search_page import Constraint, FrontRow, Objective, SearchPage, Told, Trial
from hwloop.store import Store
from hwloop.store.profiles import Profiles
from hwloop.testing.records import a_failure, a_subject
from hwloop.testing.stores import fill_store

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture
def hostile():
    """A name that would be run, were it taken for markup."""
    return HOSTILE


@pytest.fixture
def a_search_page():
    """Make the page of a small search, but for some changes."""
    return make_search_page


def make_search_page(**changes):
    """A search of forty candidates, the last of which failed; every fourth is on the front."""
    trials = []
    for number in range(39):
        latency = 1.0 + 0.2 * number
        told = (
            {"latency": Told(latency * 1.05, latency * 0.9, math.inf if number == 12 else latency * 1.2)}
            if number >= 10
            else {}
        )
        values = {
            "accuracy": 0.8 + 0.004 * number - 0.02 * (number % 4 > 0),
            "latency": latency,
            "size": 1e6 + 1e5 * number,
        }
        details = {"depth": str(number % 5 + 1), "layers": "int8-dynamic"}
        trials.append(Trial(f"vit-mini-{number:08x}", details, values, told, number // 10, None, number % 4 == 0))
    trials.append(Trial(f"vit-mini-{HOSTILE}", {"depth": HOSTILE}, {}, round=3, failure="TVM has no operator LSTM"))
    front = [FrontRow(one.label, one.details, one.values, one.predicted) for one in trials if one.on_front]
    fields = {
        "space": "vit-mini",
        "task": "digits",
        "devices": ("kitchen-pi",),
        "runtime": "onnxruntime",
        "strategy": "random",
        "seed": 7,
        "budget": 40,
        "objectives": (Objective("accuracy", "fraction", True), Objective("latency", "ms"), Objective("size", "bytes")),
        "constraints": (Constraint("latency", "<=", 6.0),),
        "trials": tuple(trials),
        "hypervolumes": tuple((count, 1 - 0.9**count) for count in range(1, 41)),
        "front": tuple(front),
    }
    return SearchPage(**{**fields, **changes})


@pytest.fixture(scope="session")
def filled_store(tmp_path_factory):
    """A store of 150 measurements, one of a hostile name, and one profile with each runtime."""
    path = tmp_path_factory.mktemp("store") / "measurements.sqlite"
    with Store.open(path) as store:
        fill_store(store, 148, samples=80)
        for runtime in ("onnxruntime", "tvm"):
            Profiles(store).add(a_profile(runtime))
        store.add_failure(a_subject(model=HOSTILE), a_failure())
        store.add_failure(a_subject(model="lstm", runtime="tvm"), a_failure(message=HOSTILE))
    return path


def a_profile(runtime="onnxruntime", **changes):
    kernels = tuple(
        KernelCost(f"{HOSTILE if place == 3 else 'kernel'} {place}", "matmul", 2.0, 4.0 / (place + 1))
        for place in range(20)
    )
    plain = Profile(
        model="magika",
        model_digest="d" * 64,
        artifact_digest="a" * 64,
        inputs_digest="i" * 64,
        device="local",
        device_identity="board-1",
        runtime=runtime,
        runtime_version="1.0",
        threads=1,
        unit="ms",
        calls=50,
        call=13.0,
        kernels=kernels,
    )
    return replace(plain, **changes)


@pytest.fixture(scope="module")  # while Playwright runs, nothing else in this thread may run an event loop
def browser():
    """Debian's Chromium without a window, as `make test` installs it."""
    chromium = shutil.which("chromium")
    assert chromium, "Chromium is missing: `make test` installs it (Debian's package chromium)"
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start for root.
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=os.geteuid() != 0)
        yield browser
        browser.close()


class Visit:
    """A page that is open in Chromium, and what went wrong there."""

    def __init__(self, browser, path, theme="light", width=1280, **options):
        phone = {"has_touch": True, "is_mobile": True} if width < 500 else {}
        self.context = browser.new_context(
            viewport={"width": width, "height": 850}, color_scheme=theme, **phone, **options
        )
        self.page = self.context.new_page()
        self.complaints, self.requests = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"file://{path}")
        self.page.wait_for_selector("html[data-ready]")

    def look_at_everything(self):
        """Scroll through the whole page, so that every chart is drawn."""
        height = self.page.evaluate("document.documentElement.scrollHeight")
        for top in range(0, height, 500):
            self.page.evaluate(f"window.scrollTo({{top: {top}, behavior: 'instant'}})")
            self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.fixture
def visit(browser):
    """Open a file in Chromium; every page is closed in the end, and must have complained of nothing."""
    visits = []

    def open_page(path, **options):
        visits.append(Visit(browser, path, **options))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()
    assert [complaint for one in visits for complaint in one.complaints] == []

"""The pages in a browser: both themes, both widths, without a network, by keys, by touch, with hostile names."""

import pytest

from hwloop.devices.fleet import load_fleet
from hwloop.report.search_page import write_search_page
from hwloop.report.store_page import write_report
from hwloop.store import Filters, Store

LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1280, 390)]
FLEET = "devices:\n  local: {transport: local}\n  kitchen-pi: {transport: ssh, host: pi.example}\n"
# The contrast of each text colour on each background, as WCAG 2 reckons it.
CONTRASTS = """() => {
  const style = getComputedStyle(document.documentElement);
  const luminance = (name) => {
    const hex = style.getPropertyValue(name).trim().slice(1);
    const [r, g, b] = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const texts = ["--ink", "--soft", "--accent", "--second", "--third", "--fourth"];
  return texts.flatMap((text) => ["--page", "--card"].map((back) => {
    const [dark, light] = [luminance(text), luminance(back)].sort((one, other) => one - other);
    return (light + 0.05) / (dark + 0.05);
  }));
}"""
UNNAMED = """() => [...document.querySelectorAll('button, input, select, svg[tabindex], a')].filter((one) =>
  !(one.getAttribute('aria-label') || one.textContent.trim() || (one.labels && one.labels.length))).length"""


@pytest.fixture(scope="module")
def report(tmp_path_factory, filled_store):
    folder = tmp_path_factory.mktemp("report")
    (folder / "devices.yaml").write_text(FLEET)
    with Store.open(filled_store) as store:
        write_report(folder / "report.html", store, Filters(), load_fleet(folder / "devices.yaml"))
    return folder / "report.html"


@pytest.fixture
def search(tmp_path, a_search_page):
    write_search_page(tmp_path / "search.html", a_search_page())
    return tmp_path / "search.html"


@pytest.mark.parametrize(("theme", "width"), LOOKS)
@pytest.mark.parametrize("name", ["report", "search"])
def test_a_page_fits_its_width_fetches_nothing_and_can_be_read(visit, request, name, theme, width):
    path = request.getfixturevalue(name)
    seen = visit(path, theme=theme, width=width)
    seen.look_at_everything()
    assert seen.requests == [f"file://{path}"]
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    assert min(seen.page.evaluate(CONTRASTS)) >= 4.5
    assert seen.page.evaluate(UNNAMED) == 0
    assert "owned" not in seen.page.title()
    charts = seen.page.locator("svg[role=application]")
    assert charts.count() == {"report": 2, "search": 3}[name]
    for chart in charts.all():
        assert chart.locator("path").count() > 3
        assert chart.locator("text.title").count() == 2


def test_hostile_names_are_shown_as_they_are(visit, report, hostile):
    seen = visit(report)
    seen.page.get_by_label("Search").fill("script")
    openers = seen.page.locator("#measurements .opener")
    assert openers.all_text_contents() == ["lstm", hostile]
    openers.first.click()
    assert hostile in seen.page.locator("#measurements td.open").text_content()
    assert seen.page.locator("img").count() == 0
    assert seen.page.locator("#kernels").get_by_text(hostile).count() == 2
    assert seen.page.title() == "What hwloop measured"


def test_measurements_are_sorted_filtered_and_paged(visit, report):
    page = visit(report).page
    rows, count = page.locator("#measurements tbody tr"), page.locator("#measurements [role=status]")
    assert rows.count() == 50 and count.text_content() == "1\u201350 of 150"
    page.get_by_role("button", name="Next →").first.click()
    assert count.text_content() == "51\u2013100 of 150"
    page.get_by_label("verdict").select_option("FAILED")
    assert set(rows.locator(".verdict").all_text_contents()) == {"✕ FAILED"}
    page.get_by_label("verdict").select_option("all")
    page.get_by_role("button", name="size", exact=True).click()
    page.get_by_role("button", name="size", exact=True).click()
    head = page.locator("#measurements th", has_text="size")
    assert head.get_attribute("aria-sort") == "descending"
    sizes = [float(text.split()[0]) for text in rows.locator("[data-title=size]").all_text_contents() if "MB" in text]
    assert sizes == sorted(sizes, reverse=True)


def test_a_page_is_used_with_keys_alone(visit, search):
    page = visit(search).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.locator("#front svg[role=application]").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    told = page.locator("#front .plot [aria-live=polite]").text_content()
    assert told.startswith("vit-mini-00000001") and "latency 1.200 ms" in told
    assert page.locator("#front .tip").is_visible()
    page.keyboard.press("Enter")
    assert "int8-dynamic" in page.locator("#front .picked").text_content()
    page.keyboard.press("Escape")
    assert not page.locator("#front .tip").is_visible()
    first = page.locator("#trials .opener").first
    first.focus()
    page.keyboard.press("Enter")
    assert first.get_attribute("aria-expanded") == "true"
    assert page.locator("#trials td.open").count() == 1


def test_a_measurement_unfolds_to_its_calls(visit, report):
    page = visit(report).page
    page.get_by_label("verdict").select_option("VALID")
    page.locator("#measurements .opener").first.click()
    unfolded = page.locator("#measurements td.open")
    unfolded.locator("svg[role=application]").wait_for()
    assert "3 processes" in unfolded.text_content()
    assert "95 % interval" in unfolded.text_content()


def test_kernels_are_shown_by_kind_too(visit, report):
    page = visit(report).page
    tables = page.locator("#kernels table")
    assert tables.count() == 2 and tables.first.locator("tbody tr").count() == 16
    assert tables.first.locator("tbody tr").last.text_content().startswith("5 more")
    page.locator("#kernels select").last.select_option("kind")
    assert tables.first.locator("tbody tr").count() == 1
    assert "matmul" in tables.first.text_content() and "100 %" in tables.first.text_content()


def test_a_touch_shows_what_is_under_it(visit, search):
    page = visit(search, width=390).page
    chart = page.locator("#front svg[role=application]")
    chart.scroll_into_view_if_needed()
    box = chart.locator("path.dot.accent").bounding_box()
    chart.tap(
        position={
            "x": box["x"] + 5 - chart.bounding_box()["x"],
            "y": box["y"] + box["height"] - 5 - chart.bounding_box()["y"],
        }
    )
    assert page.locator("#front .tip strong").text_content() == "vit-mini-00000000"


def test_nothing_moves_where_that_is_not_wanted(visit, search):
    page = visit(search, reduced_motion="reduce").page
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_a_store_without_anything_makes_a_page_that_says_what_to_do(visit, tmp_path):
    (tmp_path / "devices.yaml").write_text(FLEET)
    with Store.open(tmp_path / "empty.sqlite") as store:
        write_report(tmp_path / "empty.html", store, Filters(), load_fleet(tmp_path / "devices.yaml"))
    page = visit(tmp_path / "empty.html").page
    assert "hwloop measure MODEL.onnx measures one" in page.locator("#measurements").text_content()
    assert "hwloop profile" in page.locator("#kernels").text_content()

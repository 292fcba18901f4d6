"""How large a report is and how soon it can be used: made-up measurements, opened in headless Chromium.

    python benchmarks/report.py [--measurements 10000] [--samples 100] [--openings 5] [--keep FILE.html]

Fills a store with measurements of three processes each, writes the page, and opens it again and again in Chromium
(Debian's package, driven through Playwright), each time with nothing cached. The page can be used once its script has
run to the end: every table is filled and every control works. Sorting is timed from the click to the drawn rows. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from hwloop.devices.fleet import load_fleet
from hwloop.report.store_page import write_report
from hwloop.store import Filters, Store
from hwloop.testing.stores import fill_store

DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
SORTED = f"""async () => {{
  const head = [...document.querySelectorAll('#measurements th button')].find((one) => one.textContent === 'size');
  const start = performance.now();
  head.click();
  return (await {DRAWN}) - start;
}}"""


def opened_ms(path: Path, openings: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds until the page could be used, and those of sorting its measurements, of each opening."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is missing: apt-get install chromium")
    ready, ordered = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=os.geteuid() != 0)
        for _ in range(openings):
            context = browser.new_context(viewport={"width": 1280, "height": 850})
            page = context.new_page()
            page.goto(f"file://{path.absolute()}")
            page.wait_for_selector("html[data-ready]")
            ready.append(float(page.evaluate("document.documentElement.dataset.ready")))
            ordered.append(float(page.evaluate(SORTED)))
            context.close()
        browser.close()
    return ready, ordered


def main() -> None:
    """Fill, write, open, and print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measurements", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=100, help="calls of each of the three processes")
    parser.add_argument("--openings", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="leave the page here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = options.keep or Path(folder) / "report.html"
        (Path(folder) / "devices.yaml").write_text("devices:\n  local: {transport: local}\n")
        with Store.open(Path(folder) / "store.sqlite") as store:
            fill_store(store, options.measurements, options.samples)
            start = time.perf_counter()
            written = write_report(page, store, Filters(), load_fleet(Path(folder) / "devices.yaml"))
            write_s = time.perf_counter() - start
        ready_ms, sort_ms = opened_ms(page, options.openings)
    found = {
        "measurements": written.measurements,
        "write_s": round(write_s, 2),
        "file_mb": round(written.bytes / 1e6, 2),
        "interactive_ms": round(statistics.median(ready_ms)),
        "interactive_worst_ms": round(max(ready_ms)),
        "sort_ms": round(statistics.median(sort_ms)),
    }
    print(f"{'measurements':<26}{found['measurements']:>10,}")
    print(f"{'writing the page':<26}{found['write_s']:>10} s")
    print(f"{'size of the page':<26}{found['file_mb']:>10} MB")
    print(f"{'until it can be used':<26}{found['interactive_ms']:>10} ms, at worst {found['interactive_worst_ms']} ms")
    print(f"{'sorting the measurements':<26}{found['sort_ms']:>10} ms")
    print(json.dumps(found))


if __name__ == "__main__":
    main()

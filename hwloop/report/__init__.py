"""Pages that a browser opens without a network: what a store has, and what a search found.

page.py          one self-contained HTML file from a template, styles, scripts and data
objectives.py    what candidates are weighed by
search_page.py   the page of one search
store_page.py    the page of a store, out of:
fleet.py         devices and their health
measurements.py  measurements and their samples, packed
fronts.py        candidates that no other one beats
searches.py      searches as fronts
predicted.py     predictors against what was measured
profiles.py      latency by kernel
page/            the template; styles; scripts, of which elements, scales, plot and table serve every page
"""

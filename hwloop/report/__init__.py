"""Pages that a browser opens without a network: what a store has, and what a search found.

page.py         one self-contained HTML file from a template, scripts and data
search_page.py  the page of a search
page/           the template, the style sheet and the scripts; elements, scales, plot and table serve every page
"""

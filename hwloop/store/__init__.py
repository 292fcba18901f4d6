"""Every measurement ever taken, in one SQLite file that only grows.

__init__.py    what others import
migrations.py  the tables, as an append-only list of steps
connection.py  opens the file; SQLite's errors become StoreError
claims.py      who goes on with what is unfinished
ids.py         identifiers that sort by time
rows.py        records to rows and back
store.py       the store itself
query.py       filters, as SQL
export.py      measurements as CSV and Parquet
"""

from hwloop.store.query import Filters
from hwloop.store.store import Store

__all__ = ["Filters", "Store"]

"""Every measurement ever taken, in one SQLite file that only grows.

__init__.py    what others import
migrations.py  the tables, as an append-only list of steps
connection.py  opens the file; SQLite's errors become StoreError
claims.py      who goes on with what is unfinished
ids.py         identifiers that sort by time
rows.py        records to rows and back
store.py       the store itself
models.py      what is known of the models that were measured
query.py       filters, as SQL
export.py      measurements as CSV and Parquet
"""

from hwloop.store.models import Models
from hwloop.store.query import Filters
from hwloop.store.store import Store

__all__ = ["Filters", "Models", "Store"]

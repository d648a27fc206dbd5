"""Counts a household's lines in the Complete Journey source that were known at an instant, without us.

Usage: lineage_source.py TRANSACTIONS.parquet HOUSEHOLD INSTANT
"""
import json
import sys

import duckdb

path, household, instant = sys.argv[1:4]
lines, spent = duckdb.execute(
    """select count(*), round(sum(sales_value), 2) from read_parquet($path)
       where cast(household_id as varchar) = $household and quantity > 0
         and cast(transaction_timestamp as timestamp) <= cast($instant as timestamp)""",
    {"path": path, "household": household, "instant": instant.rstrip("Z")},
).fetchone()
print(json.dumps({"lines": lines, "spent": float(spent)}))

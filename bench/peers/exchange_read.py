"""Reads an exported stream with DuckDB and Polars beside its source, and has each write 1,000 rows of it.

Usage: exchange_read.py SOURCE.parquet EXPORTED.parquet FOLDER
"""
import json
import sys

import duckdb
import polars

source, exported, folder = sys.argv[1:4]
columns = [
    "household_id", "basket_id", "product_id", "store_id", "quantity", "sales_value", "retail_disc", "coupon_disc",
    "coupon_match_disc", "week", "transaction_timestamp",
]


def figures(rows, total):
    return {"rows": rows, "sum": round(float(total), 2)}


connection = duckdb.connect()
count = "select count(*), sum(sales_value) from read_parquet(?)"
read = {
    "source": figures(*connection.execute(count + " where quantity > 0", [source]).fetchone()),
    "duckdb": figures(*connection.execute(count, [exported]).fetchone()),
}
frame = polars.read_parquet(exported)
read["polars"] = figures(frame.height, frame["sales_value"].sum())
frame.select(columns).head(1000).write_parquet(f"{folder}/polars.parquet")
listed = ", ".join(columns)
connection.execute(
    f"copy (select {listed} from read_parquet('{exported}') limit 1000) to '{folder}/duckdb.parquet' (format parquet)"
)
print(json.dumps(read))

"""Twenty windowed features of a million labels, as DuckDB and Polars compute them from the same rows.

asof_labels.py OUT [hot]: reads what facts/feature/examples/labels.rs wrote to OUT and computes for every label what had
happened and was known by its instant. Two ways each, the faster counts: every label joined with its rows; and running
sums, of what has become known minus what has left the window, looked up by ASOF joins (with a hot key only these: the
first way would make 10^10 pairs). Two threads, tables in memory before the clock runs, three times, the fastest counts.
Prints times and how many values differ from ours as JSON.
"""

import json
import os
import sys
import time

os.environ["POLARS_MAX_THREADS"] = "2"

import duckdb  # noqa: E402
import numpy  # noqa: E402
import polars as pl  # noqa: E402

out, hot = sys.argv[1], "hot" in sys.argv[2:]
WINDOWS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}
MICROS = 86_400_000_000
N_TIMES = 3


def load(name):
    return numpy.load(f"{out}/{name}.npy")


rows = pl.DataFrame({name: load(f"rows_{name}") for name in ("subject", "occurred", "known", "cents", "paid")})
rows = rows.with_row_index("id").with_columns(pl.col("id").cast(pl.Int64))
labels = pl.DataFrame({"subject": load("labels_subject"), "asked": load("labels_at")})
labels = labels.with_row_index("label").with_columns(pl.col("label").cast(pl.Int64))
# Polars divides by a literal by multiplying with its reciprocal, which is not the same number; by a column it divides.
priced = labels.with_columns(hundred=numpy.full(len(labels), 100.0))
NAMES = [f"{what}_{window}" for window in WINDOWS for what in ("n", "spent", "mean", "paid", "last")]

db = duckdb.connect()
db.sql("SET threads TO 2")
db.sql("CREATE TABLE rows AS FROM rows")
db.sql("CREATE TABLE labels AS FROM labels")


def duckdb_pairs():
    features = []
    for window, days in WINDOWS.items():
        inside = f"FILTER (occurred > asked - {days * MICROS})"
        features += [
            f"count(r.id) {inside} AS n_{window}",
            f"coalesce(sum(cents) {inside}, 0)::DOUBLE / 100.0 AS spent_{window}",
            f"(sum(cents) {inside})::DOUBLE / 100.0 / count(r.id) {inside} AS mean_{window}",
            f"count(r.id) FILTER (occurred > asked - {days * MICROS} AND paid = 1) AS paid_{window}",
            f"(arg_max(cents, occurred) {inside})::DOUBLE / 100.0 AS last_{window}",
        ]
    longest = max(WINDOWS.values()) * MICROS
    return db.sql(f"""
    SELECT label, {", ".join(features)} FROM labels l LEFT JOIN rows r
    ON r.subject = l.subject AND r.occurred <= l.asked AND r.known <= l.asked AND r.occurred > l.asked - {longest}
    GROUP BY label ORDER BY label
    """).to_arrow_table()


def duckdb_running():
    db.sql("""
    CREATE OR REPLACE TEMP TABLE seen AS
    SELECT *, greatest(occurred, known) AS visible, row_number() OVER (ORDER BY occurred, known, id) AS place FROM rows
    """)
    running = "PARTITION BY subject ORDER BY moment"
    sums = "count(*) OVER w AS n, (sum(cents) OVER w)::BIGINT AS cents, (sum(paid) OVER w)::BIGINT AS paid"
    tables = [f"""come AS (SELECT subject, moment, {sums}, max(place) OVER w AS place
                  FROM (SELECT *, visible AS moment FROM seen) WINDOW w AS ({running}))"""]
    joins = ["ASOF LEFT JOIN come c ON l.subject = c.subject AND l.asked >= c.moment", "LEFT JOIN seen r ON r.place = c.place"]
    features = []
    for window, days in WINDOWS.items():
        tables.append(f"""left_{window} AS (SELECT subject, moment, {sums}
                  FROM (SELECT *, greatest(visible, occurred + {days * MICROS}) AS moment FROM seen) WINDOW w AS ({running}))""")
        joins.append(f"ASOF LEFT JOIN left_{window} w{window} ON l.subject = w{window}.subject AND l.asked >= w{window}.moment")
        left = {name: f"(coalesce(c.{name}, 0) - coalesce(w{window}.{name}, 0))" for name in ("n", "cents", "paid")}
        features += [
            f"{left['n']} AS n_{window}",
            f"{left['cents']}::DOUBLE / 100.0 AS spent_{window}",
            f"CASE WHEN {left['n']} > 0 THEN {left['cents']}::DOUBLE / 100.0 / {left['n']} END AS mean_{window}",
            f"{left['paid']} AS paid_{window}",
            f"CASE WHEN r.occurred > l.asked - {days * MICROS} THEN r.cents::DOUBLE / 100.0 END AS last_{window}",
        ]
    return db.sql(f"""
    WITH {", ".join(tables)} SELECT label, {", ".join(features)} FROM labels l {" ".join(joins)} ORDER BY label
    """).to_arrow_table()


def polars_pairs():
    longest = max(WINDOWS.values()) * MICROS
    seen = (pl.col("occurred") <= pl.col("asked")) & (pl.col("known") <= pl.col("asked")) & (pl.col("occurred") > pl.col("asked") - longest)
    pairs = labels.lazy().join(rows.lazy(), on="subject").filter(seen)
    features = []
    for window, days in WINDOWS.items():
        inside = pl.col("occurred") > pl.col("asked") - days * MICROS
        cents = pl.col("cents").filter(inside)
        features += [
            inside.sum().alias(f"n_{window}"),
            cents.sum().alias(f"cents_{window}"),
            (inside & (pl.col("paid") == 1)).sum().alias(f"paid_{window}"),
            cents.get(pl.col("occurred").filter(inside).arg_max(), null_on_oob=True).alias(f"of_last_{window}"),
        ]
    made = priced.lazy().select("label", "hundred").join(
        pairs.group_by("label").agg(features), on="label", how="left", maintain_order="left"
    )
    made = made.with_columns(pl.col(f"{what}_{window}").fill_null(0) for window in WINDOWS for what in ("n", "cents", "paid"))
    features = []
    for window in WINDOWS:
        n, spent = pl.col(f"n_{window}"), pl.col(f"cents_{window}") / pl.col("hundred")
        features += [
            n,
            spent.alias(f"spent_{window}"),
            pl.when(n > 0).then(spent / n).alias(f"mean_{window}"),
            pl.col(f"paid_{window}"),
            (pl.col(f"of_last_{window}") / pl.col("hundred")).alias(f"last_{window}"),
        ]
    return made.select("label", *features).collect()


def polars_running():
    seen = rows.sort("occurred", "known", "id").with_row_index("place").with_columns(visible=pl.max_horizontal("occurred", "known"))

    def running(moment, suffix, last=False):
        table = seen.select("subject", "cents", "paid", "place", moment=moment).sort("moment")
        sums = [
            pl.int_range(1, pl.len() + 1).over("subject").alias(f"n{suffix}"),
            pl.col("cents").cum_sum().over("subject").alias(f"cents{suffix}"),
            pl.col("paid").cum_sum().over("subject").alias(f"paid{suffix}"),
        ]
        if last:
            sums.append(pl.col("place").cum_max().over("subject").alias("last"))
        return table.select("subject", "moment", *sums)

    made = priced.sort("asked")
    for moment, suffix in [(pl.col("visible"), "")] + [
        (pl.max_horizontal("visible", pl.col("occurred") + days * MICROS), f"_{window}_left") for window, days in WINDOWS.items()
    ]:
        made = made.join_asof(running(moment, suffix, suffix == ""), left_on="asked", right_on="moment", by="subject", check_sortedness=False)
        made = made.drop("moment", strict=False)
    made = made.join(seen.select("place", occurred_last="occurred", cents_last="cents"), left_on="last", right_on="place", how="left")
    features = []
    for window, days in WINDOWS.items():
        left = {name: pl.col(name).fill_null(0) - pl.col(f"{name}_{window}_left").fill_null(0) for name in ("n", "cents", "paid")}
        inside = pl.col("occurred_last") > pl.col("asked") - days * MICROS
        features += [
            left["n"].alias(f"n_{window}"),
            (left["cents"] / pl.col("hundred")).alias(f"spent_{window}"),
            pl.when(left["n"] > 0).then(left["cents"] / pl.col("hundred") / left["n"]).alias(f"mean_{window}"),
            left["paid"].alias(f"paid_{window}"),
            pl.when(inside).then(pl.col("cents_last") / pl.col("hundred")).alias(f"last_{window}"),
        ]
    return made.select("label", *features).sort("label")


def differing(table):
    """How many of all values are not ours, to the last bit."""
    n = 0
    for name in NAMES:
        theirs = pl.from_arrow(table.column(name)) if not isinstance(table, pl.DataFrame) else table[name]
        theirs = theirs.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        ours = load(f"ours_{name}")
        n += int((~((theirs == ours) | (numpy.isnan(theirs) & numpy.isnan(ours)))).sum())
    return n


result = {}
for peer, ways in {"duckdb": [duckdb_pairs, duckdb_running], "polars": [polars_pairs, polars_running]}.items():
    result[peer] = {"seconds": None, "processor_seconds": None, "way": None, "n_different": 0, "ways": {}}
    for way in ways:
        if hot and way.__name__.endswith("pairs"):
            continue
        times, processor = [], []
        for _ in range(N_TIMES):
            start, before = time.perf_counter(), time.process_time()
            made = way()
            times.append(time.perf_counter() - start)
            processor.append(time.process_time() - before)
        result[peer]["n_different"] += differing(made)
        result[peer]["ways"][way.__name__] = times
        if result[peer]["seconds"] is None or min(times) < result[peer]["seconds"]:
            result[peer].update(seconds=min(times), processor_seconds=min(processor), way=way.__name__.split("_")[1])
print(json.dumps(result))

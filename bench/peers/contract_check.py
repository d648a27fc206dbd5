"""A contract checked over a million rows of Parquet, by peers; each prints figures and the seconds of its own work.

contract_check.py make PARQUET             writes the rows; figures counted by DuckDB
contract_check.py pandera PARQUET          pandera, on Polars as its documentation has it for large frames
contract_check.py pandera_pandas PARQUET   pandera, on pandas
contract_check.py gx PARQUET               Great Expectations, on pandas
contract_check.py datacontract CONTRACT    datacontract-cli, with its own engine

Figures: how many rows repeat an `id` or a `price`, lack a `sku`, have a `qty` outside of 1 to 100, a `price` below 0, a
`country` that is none, a `mail` that is none. A figure a peer does not give is absent; the seconds leave imports out.
"""

import json
import sys
import time

PATTERN = r"^[a-z0-9]+@[a-z]+\.example$"
COUNTRIES = ["DE", "AT", "CH"]


def make(path):
    import duckdb
    import numpy
    import pyarrow
    import pyarrow.parquet

    n = 1_000_000
    rng = numpy.random.default_rng(7)
    rows = numpy.arange(n)
    ids = rows.astype("int64")
    ids[rng.choice(n // 2, 700, replace=False) + n // 2] -= n // 2
    sku = numpy.char.add("SKU-", rng.integers(0, 50_000, n).astype(str)).astype(object)
    sku[rng.choice(n, 1_234, replace=False)] = None
    qty = rng.integers(1, 101, n).astype("int64")
    qty[rng.choice(n, 321, replace=False)] = 101 + rng.integers(0, 900, 321)
    # Distinct numbers 0.0001 apart, as amounts of a currency exchange are.
    price = rows / 10_000 + 1
    price[rng.choice(n, 17, replace=False)] *= -1
    country = numpy.array(COUNTRIES, dtype=object)[rng.integers(0, 3, n)]
    country[rng.choice(n, 555, replace=False)] = "XX"
    mail = numpy.char.add(numpy.char.add("u", rows.astype(str)), "@mail.example").astype(object)
    mail[rng.choice(n, 99, replace=False)] = "nobody"
    at = pyarrow.array(1_767_225_600_000_000 + rows * 30_000_000, pyarrow.timestamp("us", tz="UTC"))
    table = pyarrow.table(
        {"id": ids, "sku": sku, "qty": qty, "price": price, "country": country, "mail": mail, "at": at}
    )
    pyarrow.parquet.write_table(table, path)
    row = duckdb.sql(f"""
        SELECT count(*), count(id) - count(DISTINCT id), count(*) - count(sku),
            count(*) FILTER (qty NOT BETWEEN 1 AND 100), count(*) FILTER (price < 0),
            count(*) FILTER (country NOT IN ('DE', 'AT', 'CH')), count(*) FILTER (NOT regexp_matches(mail, '{PATTERN}')),
            count(price) - count(DISTINCT price),
            (SELECT coalesce(sum(n), 0)::BIGINT FROM (SELECT count(*) n FROM '{path}' GROUP BY id) WHERE n > 1),
            (SELECT coalesce(sum(n), 0)::BIGINT FROM (SELECT count(*) n FROM '{path}' GROUP BY price) WHERE n > 1)
        FROM '{path}'""").fetchall()[0]
    names = ["rows", "id_repeats", "sku_missing", "qty_outside", "price_below", "country_invalid", "mail_invalid", "price_repeats"]
    # Some count every row of a value that occurs more than once, the first too: as good a question.
    names += ["id_repeats, first too", "price_repeats, first too"]
    return dict(zip(names, row))


def pandera(path):
    import pandera.polars as pa
    import polars

    start = time.perf_counter()
    frame = polars.read_parquet(path)
    schema = pa.DataFrameSchema({
        "id": pa.Column(polars.Int64, unique=True),
        "sku": pa.Column(str, nullable=False),
        "qty": pa.Column(polars.Int64, pa.Check.in_range(1, 100)),
        "price": pa.Column(float, pa.Check.ge(0), unique=True),
        "country": pa.Column(str, pa.Check.isin(COUNTRIES)),
        "mail": pa.Column(str, pa.Check.str_matches(PATTERN)),
    })
    figures = {}
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        for error in errors.schema_errors:
            count = None if error.failure_cases is None else len(error.failure_cases)
            figures[f"{getattr(error.schema, 'name', None)} {error.reason_code.name if error.reason_code else error.check}"] = count
    return {"seconds": time.perf_counter() - start, "rows": len(frame), **named(figures)}


def pandera_pandas(path):
    import pandas
    import pandera.pandas as pa

    start = time.perf_counter()
    frame = pandas.read_parquet(path)
    schema = pa.DataFrameSchema({
        "id": pa.Column("int64", unique=True, report_duplicates="exclude_first"),
        "sku": pa.Column(str, nullable=False),
        "qty": pa.Column("int64", pa.Check.in_range(1, 100)),
        "price": pa.Column("float64", pa.Check.ge(0), unique=True, report_duplicates="exclude_first"),
        "country": pa.Column(str, pa.Check.isin(COUNTRIES)),
        "mail": pa.Column(str, pa.Check.str_matches(PATTERN)),
    })
    figures = {}
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        counted = errors.failure_cases.groupby(["column", "check"]).size()
        for (column, check), n in counted.items():
            figures[f"{column} {check}"] = int(n)
    return {"seconds": time.perf_counter() - start, "rows": len(frame), **named(figures)}


def named(figures):
    """A peer's own words for a failed check, as the figure it is."""
    out = {"said": {key: value for key, value in figures.items()}}
    for said, n in figures.items():
        column, _, check = said.partition(" ")
        check = check.lower()
        for name, of, words in [
            ("id_repeats", "id", ["uniq", "duplicate"]),
            ("price_repeats", "price", ["uniq", "duplicate"]),
            ("sku_missing", "sku", ["null"]),
            ("qty_outside", "qty", ["range", "check", "between"]),
            ("price_below", "price", ["greater", "ge(", "check", "between"]),
            ("country_invalid", "country", ["isin", "check", "set"]),
            ("mail_invalid", "mail", ["match", "check", "regex"]),
        ]:
            if column == of and any(word in check for word in words) and name not in out:
                out[name] = n
                break
    # What was checked and not complained of is 0.
    for name in ["id_repeats", "price_repeats", "sku_missing", "qty_outside", "price_below", "country_invalid", "mail_invalid"]:
        out.setdefault(name, 0)
    return out


def gx(path):
    import great_expectations
    import pandas
    from great_expectations import expectations as expect

    start = time.perf_counter()
    frame = pandas.read_parquet(path)
    context = great_expectations.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch(batch_parameters={"dataframe": frame})
    suite = great_expectations.ExpectationSuite("s")
    for one in [
        expect.ExpectColumnValuesToBeUnique(column="id"),
        expect.ExpectColumnValuesToBeUnique(column="price"),
        expect.ExpectColumnValuesToNotBeNull(column="sku"),
        expect.ExpectColumnValuesToBeBetween(column="qty", min_value=1, max_value=100),
        expect.ExpectColumnValuesToBeBetween(column="price", min_value=0),
        expect.ExpectColumnValuesToBeInSet(column="country", value_set=COUNTRIES),
        expect.ExpectColumnValuesToMatchRegex(column="mail", regex=PATTERN),
    ]:
        suite.add_expectation(one)
    results = batch.validate(suite, result_format="BASIC").results
    figures = {}
    for result in results:
        kind = result.expectation_config.type.removeprefix("expect_column_values_to_")
        figures[f"{result.expectation_config.kwargs['column']} {kind.replace('_', ' ')}"] = result.result["unexpected_count"]
    return {"seconds": time.perf_counter() - start, "rows": len(frame), **named(figures)}


def datacontract(contract):
    import logging

    logging.disable(logging.INFO)
    from datacontract.data_contract import DataContract

    start = time.perf_counter()
    run = DataContract(data_contract_file=contract).test()
    seconds = time.perf_counter() - start
    said = {}
    for check in run.checks:
        said[f"{check.field or check.model} {check.name}"] = f"{check.result.value} {check.reason or ''} {check.diagnostics or ''}"[:300]
    return {"seconds": seconds, "said": said}


if __name__ == "__main__":
    work = {"make": make, "pandera": pandera, "pandera_pandas": pandera_pandas, "gx": gx, "datacontract": datacontract}
    print(json.dumps(work[sys.argv[1]](*sys.argv[2:]), default=str))

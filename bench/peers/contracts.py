"""The peers of contracts: ODCS's JSON Schema over files, and datacontract-cli's lint and test.

contracts.py schema SCHEMA FILE...      per file the schema's first objection, or null
contracts.py lint FILE...               per file datacontract-cli's verdict
contracts.py duplicates CONTRACT CSV PARQUET
                                        writes CSV again as PARQUET; the duplicates that `test` counts per server
"""

import json
import re
import sys


def schema(path, *files):
    import jsonschema
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML whose dates stay text, as JSON has them."""

    Loader.yaml_implicit_resolvers = {
        first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    with open(path) as file:
        rules = json.load(file)
    validator = jsonschema.validators.validator_for(rules)(rules)
    verdicts = {}
    for name in files:
        with open(name) as file:
            error = next(validator.iter_errors(yaml.load(file, Loader)), None)
        verdicts[name] = error and f"{'/'.join(map(str, error.absolute_path))} {error.message}"[:160]
    return verdicts


def lint(*files):
    from datacontract.data_contract import DataContract

    verdicts = {}
    for name in files:
        run = DataContract(data_contract_file=name).lint()
        failed = [f"{check.name}: {check.reason}" for check in run.checks if str(check.result.value) != "passed"]
        verdicts[name] = "; ".join(failed)[:300] or None
    return verdicts


def duplicates(contract, csv, parquet):
    import duckdb
    from datacontract.data_contract import DataContract

    duckdb.sql(f"COPY (SELECT id, amount::DOUBLE AS amount FROM read_csv('{csv}')) TO '{parquet}' (FORMAT parquet)")
    truth = duckdb.sql(f"SELECT count(*) - count(DISTINCT amount) FROM '{parquet}'").fetchone()[0]
    figures = {"truth": str(truth)}
    for server in ("csv", "parquet"):
        run = DataContract(data_contract_file=contract, server=server).test()
        checks = [check for check in run.checks if "duplicate" in (check.name or "").lower()]
        said = [f"{check.result.value} {check.reason or ''} {check.diagnostics or ''}" for check in checks]
        counted = [re.search(r"(?:actual|value|was|got|count)\D{0,20}?(\d+)", text) for text in said]
        figures[server] = next((found[1] for found in counted if found), "; ".join(said)[:200])
        print(server, said, file=sys.stderr)
    return figures


if __name__ == "__main__":
    work = {"schema": schema, "lint": lint, "duplicates": duplicates}[sys.argv[1]]
    print(json.dumps(work(*sys.argv[2:])))

"""The features of `doors/house/examples/parity.rs`, computed by DuckDB from its rows, links and labels alone.

parity_duckdb.py OUT: compares each of OUT/triples.csv with what DuckDB says, counts the training values that nobody
could have known at their instant, ours and those of a plain ASOF join on event time, and prints that as JSON. A label
of kind `home` is everybody who belongs to a household then.
"""

import json
import math
import sys

import duckdb

out = sys.argv[1]
db = duckdb.connect()
db.sql("SET threads TO 2")


def table(name, **types):
    columns = ", ".join(f"'{column}': '{kind}'" for column, kind in types.items())
    db.sql(f"CREATE TABLE {name} AS FROM read_csv('{out}/{name}.csv', header = true, columns = {{{columns}}}, nullstr = '')")


table("rows", stream="VARCHAR", row="BIGINT", kind="VARCHAR", value="VARCHAR", customer="VARCHAR", stock="VARCHAR",
      note="VARCHAR", quantity="BIGINT", price="DOUBLE", country="VARCHAR", occurred="BIGINT", known="BIGINT")
table("links", user_id="VARCHAR", card="VARCHAR", known="BIGINT")
table("words", word="BIGINT", household="VARCHAR", user="VARCHAR", belongs="BOOLEAN", occurred="BIGINT", known="BIGINT")
table("labels", label="BIGINT", kind="VARCHAR", value="VARCHAR", decided="BIGINT")
table("triples", label="BIGINT", feature="VARCHAR", logged="VARCHAR", trained="VARCHAR")
table("last_rows", label="BIGINT", stream="VARCHAR", row="BIGINT")

# Whom a label is about: an identifier, or everybody of whom the last word known then says that they belong.
db.sql("""
CREATE TABLE about AS
SELECT label, kind, value, decided FROM labels WHERE kind <> 'home'
UNION
SELECT label, 'user_id', user, decided FROM (
    SELECT label, decided, user, arg_max(belongs, w.occurred::HUGEINT * 1000000000 + word) AS belongs
    FROM labels l JOIN words w ON l.kind = 'home' AND w.household = l.value AND w.known <= decided AND w.occurred <= decided
    GROUP BY label, decided, user) WHERE belongs
""")
# Who is one person with them, as far as links were known at the label's instant.
db.sql("""
CREATE TABLE members AS
FROM about
UNION
SELECT label, 'card', card, decided FROM about JOIN links ON kind = 'user_id' AND value = user_id AND known <= decided
UNION
SELECT label, 'user_id', user_id, decided FROM about JOIN links ON kind = 'card' AND value = card AND known <= decided
""")
# What could be seen at each label's instant: it had happened, and it was known.
db.sql("""
CREATE TABLE seen AS
SELECT m.label, m.decided, r.* FROM members m JOIN rows r
ON r.kind = m.kind AND r.value = m.value AND r.occurred <= m.decided AND r.known <= m.decided
""")

MICROS = {"ms": 1_000, "s": 1_000_000, "d": 86_400_000_000}
UNITS = {"days": 86_400e6, "hours": 3_600e6, "seconds": 1e6}


def micros(span):
    unit = span.lstrip("0123456789")
    return int(span[: -len(unit)]) * MICROS[unit]


def expression(feature):
    """The SQL of a feature over `seen`, one group per label."""
    keep = [f"({feature['where']})"] if "where" in feature else []
    if "window" in feature:
        keep.append(f"occurred > decided - {micros(feature['window'])}")
    of, aggregate = feature.get("of"), feature["agg"]
    if of:
        keep.append(f"{of} IS NOT NULL")
    only = f"FILTER (WHERE {' AND '.join(keep)})" if keep else ""
    # (occurred, known) as one number: no two rows of a person share it.
    order = "occurred::HUGEINT * 10000000000000000 + known"
    if aggregate in ("sum", "mean"):
        # Added up in Python: whole cents, or exactly rounded.
        return f"list({of}) {only}"
    return {
        "count": f"count(*) {only}",
        "min": f"min({of}) {only}",
        "max": f"max({of}) {only}",
        "last": f"arg_max({of}, {order}) {only}",
        "first": f"arg_min({of}, {order}) {only}",
        "distinct": f"count(DISTINCT {of}) {only}",
        "time_since": f"(any_value(decided) - max(occurred) {only})::DOUBLE",
        "decayed_sum": f"fsum({of} * pow(2.0, -(decided - occurred)::DOUBLE / {micros(feature.get('half_life', '1s'))})) {only}",
    }[aggregate]


def finish(feature, raw):
    """From what SQL says to the feature's value; `raw` is None where no row was seen."""
    aggregate = feature["agg"]
    if aggregate in ("sum", "mean"):
        numbers = raw or []
        if aggregate == "mean" and not numbers:
            return None
        if feature.get("scale") == 2:
            total = float(sum(math.floor(abs(n) * 100.0 + 0.5) * (1 if n >= 0 else -1) for n in numbers)) / 100.0
        else:
            total = math.fsum(numbers)
        return total / len(numbers) if aggregate == "mean" else total
    if aggregate in ("count", "distinct", "decayed_sum"):
        return float(raw or 0)
    if raw is None or isinstance(raw, str):
        return raw
    return raw / UNITS[feature.get("unit", "days")] if aggregate == "time_since" else float(raw)


with open(f"{out}/features.json") as file:
    views = json.load(file)
wanted = {}
for label, name, logged, trained in db.sql("FROM triples").fetchall():
    wanted.setdefault(label, []).append((name, logged, trained))

expected = {}
for view, (stream, features) in ((name, (of["stream"], of["features"])) for name, of in views.items()):
    plain = [feature for feature in features if feature["agg"] != "ratio"]
    columns = ", ".join(expression(feature) for feature in plain)
    groups = db.sql(f"SELECT label, {columns} FROM seen WHERE stream = '{stream}' GROUP BY label").fetchall()
    by_label = {group[0]: group[1:] for group in groups}
    for label in wanted:
        raw = by_label.get(label, [None] * len(plain))
        values = {f["name"]: finish(f, r) for f, r in zip(plain, raw)}
        for feature in features:
            if feature["agg"] == "ratio":
                top, bottom = values[feature["numerator"]], values[feature["denominator"]]
                values[feature["name"]] = top / bottom if top is not None and bottom else None
        for feature in features:
            value = values[feature["name"]]
            if value is None:
                value = feature.get("default")
            expected[label, f"{view}.{feature['name']}"] = (value, feature["agg"])


def same(text, value, tolerance):
    if text is None or value is None:
        return text is None and value is None
    if isinstance(value, str):
        return text == value
    number = float(text)
    return number == value or abs(number - value) <= tolerance * max(abs(number), abs(value))


result = {"n_triples": 0, "n_logged_differ": 0, "n_trained_differ": 0, "n_missing": 0, "largest_decayed": 0.0, "examples": []}
for label, triples in wanted.items():
    for name, logged, trained in triples:
        value, aggregate = expected[label, name]
        tolerance = 1e-12 if aggregate == "decayed_sum" else 0.0
        result["n_triples"] += 1
        result["n_missing"] += value is None
        wrong = not same(logged, value, tolerance)
        result["n_logged_differ"] += wrong
        result["n_trained_differ"] += not same(trained, value, tolerance)
        if aggregate == "decayed_sum" and value:
            result["largest_decayed"] = max(result["largest_decayed"], abs(float(logged) - value) / abs(value))
        if wrong and len(result["examples"]) < 10:
            result["examples"].append([label, name, logged, trained, value])

# Values from rows that nobody could have known at the label's instant: ours, and a plain ASOF join's.
db.sql("CREATE TABLE people AS SELECT label, decided, ltrim(value, 'k') AS customer FROM labels WHERE kind <> 'home'")
[(result["n_leaked"], result["n_read"])] = db.sql("""
SELECT count(*) FILTER (WHERE known > decided), count(*) FROM last_rows JOIN labels USING (label) JOIN rows USING (stream, row)
""").fetchall()
result["n_leaked_asof"] = result["n_read_asof"] = 0
for stream in {of["stream"] for of in views.values()}:
    [(leaked, read)] = db.sql(f"""
    SELECT count(*) FILTER (WHERE r.known > p.decided), count(*) FROM people p
    ASOF JOIN (SELECT * FROM rows WHERE stream = '{stream}') r ON p.customer = r.customer AND p.decided >= r.occurred
    """).fetchall()
    result["n_leaked_asof"] += leaked
    result["n_read_asof"] += read
print(json.dumps(result))

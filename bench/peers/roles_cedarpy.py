"""The same policies, schema and requests in cedarpy, one decision at a time and in batches.

python roles_cedarpy.py FOLDER → one line of JSON. FOLDER holds policies.cedar, schema.cedarschema and requests.json.
"""

import json
import sys
import time
from pathlib import Path

import cedarpy

SECONDS = 4.0
BATCH = 432

folder = Path(sys.argv[1])
policies = (folder / "policies.cedar").read_text()
wanted = json.loads((folder / "requests.json").read_text())


def request(asked):
    return {
        "principal": f'Caller::{json.dumps(asked["name"])}',
        "action": f'Action::"{asked["action"]}"',
        "resource": f'Class::"{asked["class"]}"',
        "context": {
            "purpose": {"__entity": {"type": "Purpose", "id": asked["purpose"]}},
            "basis": {"__entity": {"type": "Basis", "id": asked["basis"]}},
        },
    }


def entities(asked):
    return [
        {
            "uid": {"type": "Caller", "id": asked["name"]},
            "attrs": {},
            "parents": [{"type": "Role", "id": asked["role"]}],
        }
    ]


def rate(one, size):
    n, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        one(n)
        n += size
    return n / (time.perf_counter() - started)


def single(n):
    asked = wanted[n % len(wanted)]
    return cedarpy.is_authorized(request(asked), policies, entities(asked))


n_different = sum(
    single(i).allowed != asked["allowed"] for i, asked in enumerate(wanted)
)
# A batch shares its entities: all callers of one role at once.
by_role = {}
for asked in wanted:
    by_role.setdefault(asked["role"], []).append(asked)
batches = [
    ([request(asked) for asked in some], list({a["name"]: entities(a)[0] for a in some}.values()))
    for some in by_role.values()
]


def batched(n):
    requests, all_entities = batches[n // (BATCH // len(batches)) % len(batches)]
    return cedarpy.is_authorized_batch(requests, policies, all_entities)


print(
    json.dumps(
        {
            "per_second": rate(single, 1),
            "batched_per_second": rate(batched, BATCH // len(batches)),
            "n_different": n_different,
            # Cedar's own validator on our schema and policies; we have another.
            "is_valid": cedarpy.validate_policies(policies, (folder / "schema.cedarschema").read_text()).validation_passed,
            "version": getattr(cedarpy, "__version__", ""),
        }
    )
)

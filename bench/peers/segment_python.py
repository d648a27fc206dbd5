"""Sends N calls of every kind through the unmodified segment-analytics-python: `segment_python.py URL KEY N`.

Batches are gzipped. Prints what the client itself says of them, as JSON.
"""

import json
import sys

from segment.analytics.client import Client

host, key, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
errors: list[str] = []
failed = 0


def on_error(error, items):
    """The client gave up on these."""
    global failed
    failed += len(items)
    errors.append(str(error))


client = Client(key, host=host, gzip=True, upload_size=50, upload_interval=0.2, max_retries=10, on_error=on_error)
for number in range(n):
    user = f"u{number % 10}"
    context = {"number": number}
    kind = number % 5
    if kind == 0:
        client.identify(user, {"plan": "free"}, context=context)
    elif kind == 1:
        client.track(user, "Button Clicked", {"label": "Grüße 🎉"}, context=context)
    elif kind == 2:
        client.page(user, "shop", "Home", {"path": "/"}, context=context)
    elif kind == 3:
        client.group(user, "g1", {"name": "Werk"}, context=context)
    else:
        client.alias(f"old{number % 10}", user, context=context)
client.flush()
client.join()
print(json.dumps({"delivered": n - failed, "failed": failed, "errors": errors[:5]}))

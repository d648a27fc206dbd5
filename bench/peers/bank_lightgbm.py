"""LightGBM on Bank Marketing, on the very rows that our own example tested on.

bank_lightgbm.py DATA OUT: reads DATA/decide/bank_full.csv and OUT/{random,chronological}.txt, prints AUCs as JSON.
"""

import csv
import json
import sys

import lightgbm
import numpy as np
from sklearn.metrics import roc_auc_score

NUMBERS = ["age", "balance", "day", "campaign", "pdays", "previous"]

data, out = sys.argv[1:]
with open(f"{data}/decide/bank_full.csv", newline="") as file:
    rows = list(csv.DictReader(file))
names = [name for name in rows[0] if name not in ("duration", "y")]
columns = []
for name in names:
    values = [row[name] for row in rows]
    if name in NUMBERS:
        columns.append(np.array(values, dtype=float))
    else:
        levels = {level: i for i, level in enumerate(sorted(set(values)))}
        columns.append(np.array([levels[value] for value in values], dtype=float))
features = np.column_stack(columns)
labels = np.array([row["y"] == "yes" for row in rows])
categories = [i for i, name in enumerate(names) if name not in NUMBERS]

figures = {"version": lightgbm.__version__}
for split in ("random", "chronological"):
    test = np.zeros(len(rows), dtype=bool)
    with open(f"{out}/{split}.txt") as file:
        test[[int(line) for line in file]] = True
    model = lightgbm.LGBMClassifier(
        n_estimators=200, learning_rate=0.05, random_state=42, deterministic=True, force_row_wise=True, n_jobs=2, verbose=-1
    )
    model.fit(features[~test], labels[~test], categorical_feature=categories)
    scores = model.predict_proba(features[test])[:, 1]
    figures[split] = {"n_test": int(test.sum()), "auc": float(roc_auc_score(labels[test], scores))}
print(json.dumps(figures))

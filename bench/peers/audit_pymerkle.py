"""The same work with pymerkle: entries into a tree that lies in SQLite, committed in batches and synced to the disk; then
inclusion proofs for entries at random, made and verified. Prints one line of JSON.

    python audit_pymerkle.py DIR ENTRIES BATCH
"""

import json
import os
import random
import sys
import time

from pymerkle import SqliteTree, verify_inclusion

N_PROOFS = 3_000


def entry(n):
    head = '{"at":"2026-11-24T13:00:00.000001Z","what":"person.read","by":"anna","purpose":"direct_marketing",'
    subject = (n * 0x9E3779B97F4A7C15) % 2**64
    return (head + '"subject":"%032x","detail":{"n":%d}}' % (subject, n)).encode()


def main():
    folder, n_entries, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    tree = SqliteTree(os.path.join(folder, "tree.db"))
    # As durable as a checkpoint of ours: synced with each commit.
    tree.con.execute("PRAGMA journal_mode = WAL")
    tree.con.execute("PRAGMA synchronous = FULL")
    entries = [entry(n) for n in range(n_entries)]
    started = time.perf_counter()
    for at in range(0, n_entries, batch):
        tree.append_entries(entries[at : at + batch], chunksize=batch)
    appended_s = time.perf_counter() - started
    # What a checkpoint would commit to; asked once, not with every batch.
    root = tree.get_root()
    draw = random.Random(7)
    chosen = [draw.randrange(n_entries) for _ in range(N_PROOFS)]
    for n in chosen[:200]:
        tree.prove_inclusion(n + 1)
    started = time.perf_counter()
    proofs = [tree.prove_inclusion(n + 1) for n in chosen]
    proved_s = time.perf_counter() - started
    started = time.perf_counter()
    for n, proof in zip(chosen, proofs):
        verify_inclusion(tree.get_leaf(n + 1), root, proof)
    verified_s = time.perf_counter() - started
    print(
        json.dumps(
            {
                "entries": n_entries,
                "appended_s": appended_s,
                "proofs": N_PROOFS,
                "proved_s": proved_s,
                "verified_s": proved_s + verified_s,
            }
        )
    )


main()

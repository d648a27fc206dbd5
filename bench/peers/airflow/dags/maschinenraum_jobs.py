"""The jobs of a Maschinenraum project as Airflow DAGs: one task per step, in the order of jobs/*.yaml.

Copy this file into Airflow's folder of DAGs and set, for its scheduler and workers:

    MASCHINENRAUM_PROJECT   the project's directory: its jobs/*.yaml say what the DAGs look like
    MASCHINENRAUM_BINARY    the binary, where it is not on the PATH
    MASCHINENRAUM_SERVER    the URL of a running server, and
    MASCHINENRAUM_KEY       a key with the scope `jobs`; without these two the binary opens the project itself,
                            which it can while no server has it open

A task is one call, `maschinenraum jobs step JOB STEP --run RUN_ID`. It may be killed, lost and repeated: a step is done
once per run, and a call for one that is done says what came out.
"""

import os
import pathlib
import subprocess
from datetime import timedelta

import yaml
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException

BINARY = os.environ.get("MASCHINENRAUM_BINARY", "maschinenraum")
PROJECT = pathlib.Path(os.environ["MASCHINENRAUM_PROJECT"])
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def span(text):
    """`90s`, `5m`, `1h` as a timedelta."""
    return timedelta(seconds=int(text[:-1]) * UNITS[text[-1]])


def do(job, step, run_id):
    """Does one step of a run, or learns what came out of it."""
    call = [BINARY, "--project", str(PROJECT), "jobs", "step", job, step, "--run", run_id]
    done = subprocess.run(call, stdout=subprocess.PIPE, text=True)
    print(done.stdout)
    if done.returncode == 1:
        raise AirflowFailException("the step says that another attempt would not help; its log says why")
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(call)} ended with {done.returncode}")


def dag_of(spec):
    """One DAG: what a step needs is upstream of it; without `needs`, the step before it."""
    tasks, before = {}, []
    with DAG(dag_id=f"maschinenraum_{spec['job']}", schedule=None, catchup=False, description=spec.get("description")) as dag:
        for plan in spec["steps"]:
            retry = {"attempts": 3, "first_after": "1m", "most": "1h"} | spec.get("retry", {}) | plan.get("retry", {})

            @task(
                task_id=plan["step"],
                # A server that is away for a moment is no failure of the step: a few retries whatever the job says.
                retries=max(retry["attempts"] - 1, 3),
                retry_delay=span(retry["first_after"]),
                max_retry_delay=span(retry["most"]),
                retry_exponential_backoff=True,
            )
            def step(job, name, run_id=None):
                do(job, name, run_id)

            tasks[plan["step"]] = step(spec["job"], plan["step"])
        for plan in spec["steps"]:
            for need in plan.get("needs", before):
                tasks[need] >> tasks[plan["step"]]
            before = [plan["step"]]
    return dag


for file in sorted(PROJECT.glob("jobs/*.yaml")):
    found = dag_of(yaml.safe_load(file.read_text()))
    globals()[found.dag_id] = found

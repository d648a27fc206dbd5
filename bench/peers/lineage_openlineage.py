"""Tells of a table and a dashboard with the stock OpenLineage client.

Usage: lineage_openlineage.py URL KEY
"""
import datetime
import sys
import uuid

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, JobEvent, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import column_lineage_dataset as lineage
from openlineage.client.facet_v2 import job_type_job, ownership_job, sql_job
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport

url, key = sys.argv[1:3]
client = OpenLineageClient(transport=HttpTransport(HttpConfig(url=url, auth=ApiKeyTokenProvider({"apiKey": key}))))
producer = "https://example.org/etl"


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


run = Run(str(uuid.uuid4()))
facets = {
    "ownership": ownership_job.OwnershipJobFacet([ownership_job.Owner("team:bi")]),
    "sql": sql_job.SQLJobFacet("select sum(sales_value) from transactions"),
}
job = Job("airflow", "dwh.revenue", facets=facets)
taken = InputDataset("maschinenraum", "streams/transactions")
step = lineage.Transformation("DIRECT", "AGGREGATION", "sum", False)
field = lineage.InputField("maschinenraum", "streams/transactions", "sales_value", transformations=[step])
made = OutputDataset(
    "postgres://dwh:5432",
    "mart.public.revenue",
    facets={"columnLineage": lineage.ColumnLineageDatasetFacet(fields={"sum": lineage.Fields(inputFields=[field])})},
)
for state in [RunState.START, RunState.COMPLETE]:
    event = RunEvent(
        eventTime=now(), producer=producer, eventType=state, run=run, job=job, inputs=[taken], outputs=[made]
    )
    client.emit(event)
kind = job_type_job.JobTypeJobFacet(processingType="BATCH", integration="SUPERSET", jobType="DASHBOARD")
client.emit(
    JobEvent(
        eventTime=now(),
        producer=producer,
        job=Job("superset", "weekly", facets={"jobType": kind}),
        inputs=[InputDataset("postgres://dwh:5432", "mart.public.revenue")],
        outputs=[],
    )
)

"""Prints a tracking store as JSON, as MLflow's own client reads it.

usage: read.py TRACKING_URI EXPERIMENT
"""

import json
import sys

from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient


def artifacts(client, run_id, path=None):
    for f in client.list_artifacts(run_id, path):
        if f.is_dir:
            yield from artifacts(client, run_id, f.path)
        else:
            yield f"{f.path} {f.file_size}"


client = MlflowClient(tracking_uri=sys.argv[1], registry_uri=sys.argv[1])
experiment = client.get_experiment_by_name(sys.argv[2])
runs = {}
for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL):
    runs[run.info.run_id] = {
        "name": run.info.run_name,
        "status": run.info.status,
        "start": run.info.start_time,
        "end": run.info.end_time or 0,
        "user": run.info.user_id,
        "stage": run.info.lifecycle_stage,
        "params": run.data.params,
        "tags": run.data.tags,
        "metrics": {
            key: sorted(
                f"{m.timestamp} {m.value!r} {m.step}"
                for m in client.get_metric_history(run.info.run_id, key)
            )
            for key in run.data.metrics
        },
        "inputs": sorted(
            " ".join([i.dataset.name, i.dataset.digest, i.dataset.source_type, i.dataset.source]
                     + [i.dataset.schema or "-", i.dataset.profile or "-"]
                     + [t.value for t in i.tags])
            for i in run.inputs.dataset_inputs
        ),
        "artifacts": sorted(artifacts(client, run.info.run_id)),
    }
json.dump({"experiment_id": experiment.experiment_id, "runs": runs}, sys.stdout)

"""Answers questions with models as people load them.

Reads a job from stdin: {"questions": [...], "max_new_tokens": n, "models":
[{"name": ..., "folder": ...} or {"name": ..., "mlflow": uri, "run": run id}]}.
Writes {name: [answers]} to stdout. Greedy, in float32, one question at a time,
so that no padding changes a number.
"""

import json
import os
import sys

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

torch.set_num_threads(1)  # so small a model gains nothing from more
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def answers(chat, job):
    out = []
    for question in job["questions"]:
        said = chat([{"role": "user", "content": question}], max_new_tokens=job["max_new_tokens"], do_sample=False)
        out.append(said[0]["generated_text"][-1]["content"])
    return out


def load(model):
    if "folder" in model:
        loaded = AutoModelForCausalLM.from_pretrained(model["folder"], dtype=torch.float32)
        return pipeline("text-generation", model=loaded, tokenizer=AutoTokenizer.from_pretrained(model["folder"]))
    import mlflow

    mlflow.set_tracking_uri(model["mlflow"])
    client = mlflow.MlflowClient()
    for experiment in client.search_experiments():
        runs = client.search_runs([experiment.experiment_id], f"tags.`tunebus.run_id` = '{model['run']}' AND tags.`tunebus.phase` = 'finetune'")
        for run in runs:
            models = [m for m in client.search_logged_models([experiment.experiment_id]) if m.source_run_id == run.info.run_id]
            if len(models) != 1 or [o.model_id for o in run.outputs.model_outputs] != [models[0].model_id]:
                sys.exit(f"run {run.info.run_id} has the logged models {models}")
            mlflow.register_model(f"runs:/{run.info.run_id}/model", "by-hand-" + model["run"])
            uri = f"models:/{models[0].model_id}"
            return mlflow.transformers.load_model(uri, dtype=torch.float32)
    sys.exit(f"no MLflow run of {model['run']}")


job = json.load(sys.stdin)
result = {m["name"]: answers(load(m), job) for m in job["models"]}
json.dump(result, sys.stdout)

"""Uses the Hub by its official client, as the job on stdin says.

endpoint and cache name the server and the cache. download has repositories that are
fetched: the result has the SHA-256 of each of their files. offline does so without the
server. upload pushes a folder.
"""

import hashlib
import json
import os
import sys

job = json.load(sys.stdin)
os.environ["HF_ENDPOINT"] = job["endpoint"]
os.environ["HF_HUB_CACHE"] = job["cache"]
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
if job.get("offline"):
    os.environ["HF_HUB_OFFLINE"] = "1"

from huggingface_hub import HfApi, snapshot_download  # noqa: E402  (the variables come first)


def digests(folder):
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, folder)] = hashlib.sha256(f.read()).hexdigest()
    return found


result = {"files": {}}
if job.get("upload"):
    api = HfApi(token=job["token"])
    api.create_repo(job["upload"]["id"], repo_type=job["upload"]["type"], private=True)
    api.upload_folder(
        repo_id=job["upload"]["id"], repo_type=job["upload"]["type"], folder_path=job["upload"]["folder"]
    )
for repository in job.get("download") or []:
    folder = snapshot_download(
        repository["id"],
        repo_type=repository["type"],
        token=job["token"],
        allow_patterns=repository.get("patterns"),
    )
    result["files"][repository["id"]] = digests(folder)
print(json.dumps(result))

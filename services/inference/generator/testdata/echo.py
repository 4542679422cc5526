"""A command that answers each prompt with its own ids, the last one first. Standard library alone.

With MODE=sees it reads images, and answers a prompt with the length of its line of images.
MODE makes it fail: kill (after four answers, once), garbage, twice, foreign, error, trains, outside, early;
with keys it marks what the job says of them, with odd its answers end in odd ways, and with keyless it honours no key.
"""

import json
import os
import signal
import socket
import sys

MODE = os.environ.get("MODE", "")


def send(connection, **message):
    connection.sendall(json.dumps(message).encode() + b"\n")


def main():
    hello = {"protocol": 1, "name": "echo", "version": "1", "rows": "tokens", "kinds": ["training" if MODE == "trains" else "inference"]}
    hello["vision"] = MODE == "sees"
    hello["keys"] = [] if MODE == "keyless" else ["temperature", "max_new_tokens"]
    if "--describe" in sys.argv:
        print(json.dumps(hello))
        return 0
    with open(sys.argv[sys.argv.index("--job") + 1], encoding="utf-8") as f:
        job = json.load(f)
    assert job["kind"] == "inference", job
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ["TUNEBUS_SOCKET"])
    send(connection, type="hello", **hello)
    print("working on", job["run"])
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    send(connection, type="stage", stage="generate")
    if MODE == "error":
        send(connection, type="error", **{"class": "out_of_memory", "text": "no memory", "key": "batch_size"})
        return 1
    with open(job["prompts"]["tokens"], encoding="utf-8") as f:
        prompts = [json.loads(line) for line in f]
    first = not os.path.exists(os.environ["MARK"])
    with open(os.environ["MARK"], "a", encoding="utf-8") as mark:
        mark.write(f"{sum(bool(p.get('answered')) for p in prompts)} of {len(prompts)} are answered\n")
        if MODE == "keys":
            mark.write(json.dumps({"changed": job["changed"], "keys": len(job["keys"]), "stop": job["keys"]["stop"]}) + "\n")
    step = 0
    with open(job["output"]["answers"], "a", encoding="utf-8") as out:
        for prompt in sorted(prompts, key=lambda p: len(p["ids"])):
            if prompt.get("answered"):
                continue
            if stopped:
                return 75
            if step == 4 and MODE == "kill" and first:
                os.kill(os.getpid(), signal.SIGKILL)
            row = 10_000 if MODE == "foreign" else prompt["row"]
            answer = {"row": row, "ids": prompt["ids"][::-1], "finish_reason": "stop"}
            if MODE == "outside":
                answer["ids"] = [99999]
            if MODE == "odd":
                answer["finish_reason"] = ["error", None, "length", "stop", "stop"][prompt["row"]]
            if MODE == "sees":
                assert all(os.path.getsize(path) for path in prompt.get("images", [])), prompt
                answer |= {"ids": [len(prompt.get("images", []))], "prompt_tokens": 7}
                with open(os.environ["MARK"], "a", encoding="utf-8") as mark:
                    mark.write(json.dumps(prompt["messages"]) + "\n")
            line = json.dumps(answer) + "\n"
            out.write("no JSON\n" if MODE == "garbage" else line * (2 if MODE == "twice" else 1))
            out.flush()
            step += 2 if MODE == "twice" else 1
            send(connection, type="progress", step=step + (MODE == "early"), total=len(prompts), points={})
    send(connection, type="result", folder=os.path.dirname(job["output"]["answers"]), tokens=0, statistics={}, artifacts={})
    return 0


sys.exit(main())

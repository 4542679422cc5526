"""The trainer that it is told, which goes to another folder (MODE=goes), has a result that depends on
where it starts (depends), or leaves a file there (leaves)."""

import os
import runpy
import sys
from pathlib import Path

mode = os.environ["MODE"]
if mode == "leaves" and "--job" in sys.argv:
    Path("left.txt").write_text("left")
if mode == "goes":
    os.chdir("/")
sys.argv = sys.argv[1:]
trainer = runpy.run_path(sys.argv[0])
if mode == "depends":
    here, write = os.getcwd(), trainer["Training"].write_model

    def write_model(self, base, folder):
        write(self, base, folder)
        (folder / "here.txt").write_text(here)

    trainer["Training"].write_model = write_model
sys.exit(trainer["main"]())

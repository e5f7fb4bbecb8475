"""compiled_files.py BUILD: prints the files that this build compiles, relative to the tree, one per line."""
import json
import os
import sys

with open(os.path.join(sys.argv[1], "compile_commands.json"), encoding="utf-8") as file:
    files = {os.path.relpath(entry["file"]) for entry in json.load(file)}
print("\n".join(sorted(files)))

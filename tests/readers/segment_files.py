"""Prints the segment files of a store, one a line, as `amida files --json` names them.

Usage: segment_files.py AMIDA STORE
"""

import json
import subprocess
import sys

command = [sys.argv[1], "files", sys.argv[2], "--json"]
out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
answer = json.loads(out)
files = answer["files"] if isinstance(answer, dict) else answer
for file in files:
    print(file if isinstance(file, str) else file["path"])

#!/usr/bin/env bash
# weaver-core in an environment of its own, beside nothing of ours:
#
#     bash benchmarks/tagging/prepare_weaver.sh FOLDER [PYTHON]
#
# torch comes first and at the version that our environment has: left to itself, pip may take another
# one, with gigabytes of CUDA libraries, and the two sides would not be compared on the same torch.
set -euo pipefail

folder=${1:?usage: prepare_weaver.sh FOLDER [PYTHON]}
python=${2:-python3}
torch=${TORCH_VERSION:-2.13.0}
weaver=${WEAVER_VERSION:-0.5.3}

"$python" -m venv "$folder"
"$folder/bin/pip" install --quiet "torch==$torch"
"$folder/bin/pip" install --quiet "weaver-core==$weaver"
"$folder/bin/python" - <<'CHECK'
from importlib.metadata import version

import torch

print(f"weaver-core {version('weaver-core')}, torch {torch.__version__}")
CHECK
echo "use: python benchmarks/tagging/against_weaver.py --weaver $folder/bin/weaver ..."

#!/usr/bin/env bash
# The package omnifold (TensorFlow) in an environment of its own, beside nothing of ours:
#
#     bash benchmarks/unfolding/prepare_omnifold.sh FOLDER [PYTHON]
#
# tensorflow-cpu as well: omnifold asks for tensorflow, whose own wheel is the one for processors on
# Linux unless CUDA is asked for, and both must have one version.
set -euo pipefail

folder=${1:?usage: prepare_omnifold.sh FOLDER [PYTHON]}
python=${2:-python3}
tensorflow=${TENSORFLOW_VERSION:-2.21.0}
omnifold=${OMNIFOLD_VERSION:-0.1.36}

"$python" -m venv "$folder"
"$folder/bin/pip" install --quiet "tensorflow==$tensorflow" "tensorflow-cpu==$tensorflow"
"$folder/bin/pip" install --quiet "omnifold==$omnifold"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/bin/python" - <<'CHECK'
from importlib.metadata import version

print(", ".join(f"{name} {version(name)}" for name in ("omnifold", "tensorflow", "keras")))
CHECK
echo "use: python benchmarks/unfolding/against_omnifold.py --python $folder/bin/python ..."

#!/usr/bin/env bash
# Tells, without a GPU, which nodes of a model the CUDA provider of ONNX Runtime takes (see scripts/README.md).
# PYTHON names an interpreter that has onnxruntime-gpu==1.30.0 and onnx; it is python3 where PYTHON is not set.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python3}" "$here/cuda-placement/placement.py" "$@"

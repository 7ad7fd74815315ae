#!/usr/bin/env bash
# Asks a running TF Serving every sentence of the contract (saved_models/README.md).
# Usage: tests/serving/against_tf_serving.sh HOST [NAME]
#   NAME is the model, home_goods without it. GRPC_PORT, REST_PORT and PYTHON are 8500, 8501 and .venv/bin/python unless set.
# The server needs an export of this repository with images, texts and classes, for example that of `make train`.
set -euo pipefail
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
  sed -n '2,5s/^# //p' "$0" >&2
  exit 2
fi
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
export CONTRACT_HOST=$1 CONTRACT_MODEL=${2:-home_goods}
export CONTRACT_GRPC_PORT=${GRPC_PORT:-8500} CONTRACT_REST_PORT=${REST_PORT:-8501}
exec "$python" -m pytest -p no:cacheprovider -m "" tests/serving/contract

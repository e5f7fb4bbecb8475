# demo.sh [options of examples/demo/demo.py]: runs the demo. Only the demo writes to stdout, so that --json prints only JSON.
set -euo pipefail
{
  bash tools/dev/build.sh --preset release mgpu mgpu_simgpu mgpu_simgpu_command
  bash tools/dev/venv.sh demo
} >&2
exec .cache/venv/bin/python examples/demo/demo.py --build build/release "$@"

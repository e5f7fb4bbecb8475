# sim.sh [--seeds N] [--from K] ...: builds and runs the simulator.
set -euo pipefail
bash tools/dev/build.sh --preset release mgpu-sim
exec build/release/bin/mgpu-sim "$@"

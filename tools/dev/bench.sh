# bench.sh [core|gateway|grant|waiting|idle|status|policy|policy-real|all ...]: runs the benchmarks
# and writes docs/performance.md. Without a name: all.
set -euo pipefail
bash tools/dev/build.sh --preset release mgpu mgpu_simgpu mgpu_bench_core mgpu_bench_policy mgpu_fake_service
exec python3 bench/bench.py "$@"

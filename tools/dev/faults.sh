# faults.sh [--preset P] [options of mgpu-faults]: 50,000 cases, or --sample N, or --all. With the preset asan or tsan the
# daemon runs with that sanitizer.
set -euo pipefail
preset=release
if [ "${1:-}" = --preset ]; then
  preset=${2:?--preset needs a name}
  shift 2
fi
bash tools/dev/build.sh --preset "$preset" mgpu-faults
exec "build/$preset/bin/mgpu-faults" "$@"

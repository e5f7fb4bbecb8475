# soak.sh [options of tests/soak/soak.py]: random load with injected faults.
set -euo pipefail
bash tools/dev/build.sh --preset release mgpu mgpu_simgpu mgpu_simgpu_command mgpu_simgpu_preload \
  mgpu_fake_service mgpu_fake_cuda_checkpoint
bash tools/dev/venv.sh test
exec .cache/venv/bin/python tests/soak/soak.py "$@"

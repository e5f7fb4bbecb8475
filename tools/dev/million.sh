# million.sh [options of tests/soak/bounded_growth.py]: a million requests with ever new
# names, users and paths.
set -euo pipefail
bash tools/dev/build.sh --preset release mgpu mgpu_simgpu mgpu_simgpu_command mgpu_fake_service
bash tools/dev/venv.sh test
exec .cache/venv/bin/python tests/soak/bounded_growth.py "$@"

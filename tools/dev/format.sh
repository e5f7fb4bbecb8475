# format.sh: runs clang-format on every source file.
set -euo pipefail
bash tools/dev/sources.sh | xargs clang-format-19 -i

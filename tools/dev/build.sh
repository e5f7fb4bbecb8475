# build.sh [--preset P] [target...]: configures the build once, then builds the targets.
set -euo pipefail
preset=release
if [ "${1:-}" = --preset ]; then
  preset=${2:?--preset needs one of release, debug, asan, tsan or gcc}
  shift 2
fi
folder=build/$preset
if [ ! -e "$folder/build.ninja" ]; then
  echo "build: configuring $folder"
  cmake --preset "$preset" >/dev/null
fi
exec cmake --build "$folder" ${1:+--target "$@"}

# gpu.sh [--pack] [--run [options of gpu-check/run]]: the check of a real GPU (docs/gpu.md).
#   --pack   builds build/gpu/gpu-check.tar.gz, which runs on a bare x86-64 Linux with NVIDIA's driver
#   --run    unpacks it there and runs it: needs neither a compiler nor the network
# Without an option: both, here.
set -euo pipefail
folder=build/gpu
tarball=$folder/gpu-check.tar.gz
largest=$((40 << 20))  # bytes

pack() {
  bash tools/dev/setup.sh
  bash tools/dev/build.sh mgpu mgpu_gpu_check
  bash tools/portable/sysroot.sh .cache/portable-sysroot
  rm -rf "$folder/gpu-check"
  mkdir -p "$folder/gpu-check"
  python3 tools/portable/link.py build/release .cache/portable-sysroot "$folder/gpu-check" bin/mgpu bin/mgpu-gpu-check
  cp tests/gpu/run docs/gpu.md "$folder/gpu-check/"
  # Which tree it was made of, for the record.
  git log -1 --format='%H %cI' >"$folder/gpu-check/commit" 2>/dev/null || echo unknown >"$folder/gpu-check/commit"
  tar -czf "$tarball" -C "$folder" gpu-check
  local bytes
  bytes=$(stat -c %s "$tarball")
  [ "$bytes" -le $largest ] || { echo "gpu: $tarball has $bytes bytes, more than $largest" >&2; exit 1; }
  echo "gpu: $tarball, $((bytes >> 10)) KiB; run it with ./dev gpu --run, or unpacked with gpu-check/run"
}

run() {
  [ -e "$tarball" ] || { echo "gpu: there is no $tarball: ./dev gpu --pack makes it, on a machine with a compiler" >&2; exit 1; }
  local unpacked
  unpacked=$(mktemp -d)
  tar -xzf "$tarball" -C "$unpacked"
  local code=0
  "$unpacked/gpu-check/run" --out "${OUT:-$folder/record}" "$@" || code=$?
  rm -rf "$unpacked"
  exit $code
}

case ${1:-} in
  --pack) pack ;;
  --run) shift; run "$@" ;;
  '') pack; run ;;
  *) echo "gpu: unknown option \"$1\"" >&2; exit 2 ;;
esac

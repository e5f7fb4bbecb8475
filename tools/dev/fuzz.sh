# fuzz.sh [name...]: builds and runs build/asan/bin/mgpu-fuzz-NAME, each for FUZZ_SECONDS. The corpora are kept in
# .cache/fuzz, so the next run continues from them.
set -euo pipefail
bash tools/dev/build.sh --preset asan
if [ $# = 0 ]; then
  mapfile -t found < <(compgen -G 'build/asan/bin/mgpu-fuzz-*' || true)
  set -- "${found[@]##*/mgpu-fuzz-}"
fi
[ $# -gt 0 ] || { echo "fuzz: no fuzzer was built (build/asan/bin/mgpu-fuzz-*)" >&2; exit 1; }
for name in "$@"; do
  program=build/asan/bin/mgpu-fuzz-$name
  [ -x "$program" ] || { echo "fuzz: unknown fuzzer \"$name\" ($program)" >&2; exit 2; }
  printf '\n== fuzz %s\n' "$name"
  mkdir -p ".cache/fuzz/$name"
  seeds=()
  if [ -d "fuzz/corpus/$name" ]; then seeds=("fuzz/corpus/$name"); fi
  "$program" -max_total_time="${FUZZ_SECONDS:-60}" -print_final_stats=1 ".cache/fuzz/$name" "${seeds[@]}"
done

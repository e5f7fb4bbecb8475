# bench.sh [name...]: builds and runs build/release/bin/mgpu-bench-NAME, all of them where none is named.
set -euo pipefail
bash tools/dev/build.sh --preset release
if [ $# = 0 ]; then
  mapfile -t found < <(compgen -G 'build/release/bin/mgpu-bench-*' || true)
  set -- "${found[@]##*/mgpu-bench-}"
fi
[ $# -gt 0 ] || { echo "bench: there is no benchmark yet (build/release/bin/mgpu-bench-*)" >&2; exit 1; }
for name in "$@"; do
  program=build/release/bin/mgpu-bench-$name
  [ -x "$program" ] || { echo "bench: there is no benchmark \"$name\" ($program)" >&2; exit 2; }
  printf '\n== bench %s\n' "$name"
  "$program"
done

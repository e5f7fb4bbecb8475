# test.sh [--preset P]: builds, then runs every kind of test, also after a failure, and prints a summary. The exit code is
# 0 only if all passed.
#
# The default is the release build: assertions are enabled in every build, and the simulator needs the speed.
set -euo pipefail
preset=release
if [ "${1:-}" = --preset ]; then preset=${2:?--preset needs a name}; fi
build=$PWD/build/$preset
logs=$build/test-logs

bash tools/dev/build.sh --preset "$preset"
bash tools/dev/venv.sh test
mkdir -p "$logs"

failed=0
summary=()

# check NAME PATTERN COMMAND...: runs COMMAND; its last line that matches PATTERN goes into the summary.
check() {
  local name=$1 pattern=$2 verdict=passed
  shift 2
  printf '\n== %s\n' "$name"
  if ! "$@" </dev/null 2>&1 | tee "$logs/$name.log"; then
    verdict=FAILED
    failed=1
  fi
  summary+=("$(printf '%-12s %-7s %s' "$name" "$verdict" "$(grep -E "$pattern" "$logs/$name.log" | tail -1)")")
}

check includes   '^includes:'               python3 tools/check_includes.py
check ctest      'tests passed|No tests'    ctest --test-dir "$build" --output-on-failure -j2 --no-tests=error
check simulator  '.'                        "$build/bin/mgpu-sim" --seeds "${MGPU_SEEDS:-10000}"
check faults     '^faults:'                 "$build/bin/mgpu-faults" --sample "${MGPU_FAULTS:-1500}" --seed "${MGPU_FAULTS_SEED:-1}"
check end-to-end 'passed|failed|error|no tests' \
  env MGPU_BUILD="$build" .cache/venv/bin/python -m pytest tests/e2e -q --color=no -p no:cacheprovider
printf '\n== summary (%s)\n' "$preset"
printf '%s\n' "${summary[@]}"
exit $failed

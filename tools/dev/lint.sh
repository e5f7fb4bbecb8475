# lint.sh [--since COMMIT] [--all | file...]: layout, includes, messages of the commits since COMMIT (default: since the
# main branch), clang-tidy. clang-tidy takes seconds per file, so without --all it checks only the files that differ from
# the main branch.
set -euo pipefail
since=()
if [ "${1:-}" = --since ]; then
  since=("${2:?--since wants a commit}")
  shift 2
fi
build=build/release
failed=0

sources() { bash tools/dev/sources.sh; }

changed() {
  local base
  base=$(git merge-base HEAD origin/main 2>/dev/null || git rev-parse HEAD)
  { git diff --name-only "$base"; git ls-files --others --exclude-standard; } | sort -u
}

echo "== layout"
sources | xargs clang-format-19 --dry-run -Werror || failed=1

echo "== includes"
python3 tools/check_includes.py --self-test || failed=1
python3 tools/check_includes.py || failed=1

echo "== commits"
python3 tools/check_commits.py --self-test || failed=1
python3 tools/check_commits.py "${since[@]}" || failed=1

echo "== clang-tidy"
case ${1:-} in
  --all) wanted=$(sources) ;;
  '') wanted=$(changed) ;;
  *) wanted=$(printf '%s\n' "$@") ;;
esac
[ -e $build/compile_commands.json ] || cmake --preset release >/dev/null
files=$(grep -E '\.cc$' <<<"$wanted" | grep -Fx -f - <(python3 tools/dev/compiled_files.py $build) || true)
if [ -n "$files" ]; then
  xargs -P "$(nproc)" -n 1 clang-tidy-19 -p $build --quiet --warnings-as-errors='*' <<<"$files" 2>/dev/null || failed=1
fi

[ $failed = 0 ] && echo "lint: clean"
exit $failed

# sources.sh: every C and C++ file of ours, one a line.
set -euo pipefail
git ls-files --cached --others --exclude-standard -- '*.h' '*.c' '*.cc' | while read -r file; do
  [ ! -e "$file" ] || echo "$file"
done

# sources.sh: prints every C and C++ file of the tree, one per line.
set -euo pipefail
git ls-files --cached --others --exclude-standard -- '*.h' '*.c' '*.cc' | while read -r file; do
  [ ! -e "$file" ] || echo "$file"
done

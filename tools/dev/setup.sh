# setup.sh [bench]: installs missing Debian packages. Prints nothing and returns at once if none is missing.
set -euo pipefail

wanted() { sed 's/#.*//' tools/packages.txt ${1:+tools/packages-"$1".txt} | xargs; }

missing() {
  local installed
  # dpkg-query fails for unknown names: those are missing as well.
  installed=" $({ dpkg-query -W -f '${db:Status-Status}:${Package}\n' "$@" 2>/dev/null || true; } | sed -n 's/^installed://p' | xargs) "
  local package
  for package in "$@"; do
    [[ $installed == *" $package "* ]] || echo "$package"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install() {
  as_root apt-get update -q &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" </dev/null
}

mapfile -t packages < <(missing $(wanted "${1:-}"))
[ ${#packages[@]} -gt 0 ] || exit 0

echo "setup: installing ${packages[*]}"
# Mirrors fail temporarily, and an incomplete update shows only in the install: retry both.
for pause in 5 10 20 40 0; do
  install "${packages[@]}" && exit 0
  echo "setup: the installation failed; retrying in $pause s" >&2
  sleep $pause
done
exit 1

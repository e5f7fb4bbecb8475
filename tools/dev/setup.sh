# setup.sh [bench]: installs the Debian packages that are missing. Says nothing and takes no time where none is.
set -euo pipefail

wanted() { sed 's/#.*//' tools/packages.txt ${1:+tools/packages-"$1".txt} | xargs; }

missing() {
  local installed
  # dpkg-query complains about names that it has never seen: they are missing as well.
  installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed://p' | xargs) "
  local package
  for package in "$@"; do
    [[ $installed == *" $package "* ]] || echo "$package"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Mirrors have bad minutes.
patiently() {
  local try
  for try in 1 2 3 4 5; do
    "$@" && return 0
    echo "setup: try $try of: $* failed; again in $((try * 5)) s" >&2
    sleep $((try * 5))
  done
  return 1
}

mapfile -t packages < <(missing $(wanted "${1:-}"))
[ ${#packages[@]} -gt 0 ] || exit 0

echo "setup: installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
patiently as_root apt-get update -q
patiently as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}" </dev/null

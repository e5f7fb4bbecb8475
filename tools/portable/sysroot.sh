# sysroot.sh FOLDER: an old C library to link against (glibc 2.31, of Debian 11), so that the program also runs on systems
# that are years older than this one. With it come the libraries that are not linked statically (libsystemd and what it
# needs), which the tarball carries. Debian packages, unpacked and not installed. A second call returns at once.
set -euo pipefail
folder=${1:?sysroot.sh needs a folder}
release=bullseye
packages=(libc6 libc6-dev libgcc-10-dev libsystemd0 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libzstd1 libcap2)

stamp=$folder/.complete-$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-16)
[ -e "$stamp" ] && exit 0
rm -rf "$folder"
mkdir -p "$folder"
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs"
: >"$apt/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $release main" >"$apt/sources.list"
options=(-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$apt/lists"
  -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root -o APT::Architecture=amd64)

fetch() {
  apt-get "${options[@]}" update -q && (cd "$apt/debs" && apt-get "${options[@]}" download -q "${packages[@]}")
}

fetched=
for pause in 5 10 20 0; do
  if fetch >"$apt/log" 2>&1; then
    fetched=yes
    break
  fi
  sleep $pause
done
if [ -z "$fetched" ]; then
  tail -5 "$apt/log" >&2
  echo "sysroot: the packages of Debian $release could not be fetched" >&2
  exit 1
fi
for package in "$apt"/debs/*.deb; do dpkg-deb -x "$package" "$folder"; done
# The loader's link is absolute in the package.
ln -sfn ../lib/x86_64-linux-gnu/ld-2.31.so "$folder/lib64/ld-linux-x86-64.so.2"
touch "$stamp"

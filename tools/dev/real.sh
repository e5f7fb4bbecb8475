# real.sh [--quick] [--large] [pytest options]: installs real applications and clients into build/real from the package
# registries, then runs tests/real against them. What can't be had is named, and its tests are skipped.
#   --quick   installs nothing, and runs only what takes seconds (CI does this where build/real is cached)
#   --large   also what needs several GiB (Infinity with PyTorch)
set -euo pipefail
quick= large=
while [[ ${1:-} == --quick || ${1:-} == --large ]]; do
  declare "${1#--}=1"
  shift
done
real=$PWD/build/real
ollama_version=v0.24.0
node_packages="openai@7.55.0 ollama@0.6.4 playwright-core@1.65.1"
mkdir -p "$real"/{installed,missing,logs}

# part NAME VERSION COMMAND...: runs COMMAND once for each VERSION, with its output in a log. If it fails, the file
# missing/NAME says why; the next call tries again.
part() {
  local name=$1 stamp
  stamp=$real/installed/$name-$(sha256sum <<<"$2" | cut -c1-16)
  shift 2
  [ -e "$stamp" ] && return
  echo "real: installing $name (log: build/real/logs/$name.log)"
  if "$@" >"$real/logs/$name.log" 2>&1 </dev/null; then
    rm -f "$real/missing/$name" "$real/installed/$name"-*
    touch "$stamp"
  else
    { grep -iE 'error|not found' "$real/logs/$name.log" || tail -1 "$real/logs/$name.log"; } | head -1 >"$real/missing/$name"
    echo "real: no $name: $(cat "$real/missing/$name")"
  fi
}

python_packages() {  # python_packages NAME: tools/requirements-real-NAME.txt in the virtual environment build/real/NAME
  rm -rf "${real:?}/$1"
  /usr/bin/python3 -m venv "$real/$1"
  PIP_DISABLE_PIP_VERSION_CHECK=1 CMAKE_BUILD_PARALLEL_LEVEL=2 nice "$real/$1/bin/pip" install --no-input --retries 5 \
    --progress-bar off -r "tools/requirements-real-$1.txt"
}

ollama() {  # its CPU backend is C++ in the Go module: ten minutes on two cores
  command -v go >/dev/null || { echo "error: go 1.24 or later is not installed"; return 1; }
  GOPATH=$real/go GOBIN=$real/bin GOFLAGS=-modcacherw nice go install "github.com/ollama/ollama@$ollama_version"
}

node_clients() {
  command -v npm >/dev/null || { echo "error: npm is not installed"; return 1; }
  npm install --prefix "$real/node" --no-audit --no-fund $node_packages
}

debian_package() {  # debian_package COMMAND PACKAGE
  if ! command -v "$1"; then
    [ "$(id -u)" = 0 ] || { echo "error: $1 is not installed, and apt-get install $2 needs root"; return 1; }
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$2"
  fi
}

if [ -z "$quick" ]; then
  for list in services clients llama; do
    part $list "$(cat tools/requirements-real-$list.txt)" python_packages $list
  done
  part ollama "$ollama_version" ollama
  part node "$node_packages" node_clients
  part java 1 debian_package java default-jdk-headless
  part chromium 1 debian_package chromium chromium
  if [ -n "$large" ]; then
    part infinity "$(cat tools/requirements-real-infinity.txt)" python_packages infinity
  fi
fi

bash tools/dev/build.sh --preset release mgpu mgpu_simgpu mgpu_simgpu_command mgpu_simgpu_preload mgpu_fake_service
bash tools/dev/venv.sh test
exec .cache/venv/bin/python -m pytest tests/real -q -p no:cacheprovider -rs ${quick:+-m quick} "$@"

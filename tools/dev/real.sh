# real.sh [--quick] [--large] [pytest options]: installs real applications and clients into build/real from the package
# registries, then runs tests/real against them. What can't be had is named, and its tests are skipped.
#   --quick   installs nothing, and runs only what takes seconds: ./dev test does this where something is installed
#   --large   also what needs several GiB (Infinity with PyTorch)
set -euo pipefail
quick= large=
while [[ ${1:-} == --quick || ${1:-} == --large ]]; do
  declare "${1#--}=1"
  shift
done
# One installation for all clones on a machine; build/real leads to it.
real=${XDG_CACHE_HOME:-$HOME/.cache}/mgpu/real
ollama_version=v0.24.0
miniaudio_module=github.com/gen2brain/malgo@v0.11.23
node_packages="openai@7.55.0 ollama@0.6.4 playwright-core@1.65.1"
mkdir -p "$real"/{installed,missing,logs} build
[ -e build/real ] || ln -sfn "$real" build/real

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
  # What is built from source is built without its tests, by as many jobs as there are cores.
  PIP_DISABLE_PIP_VERSION_CHECK=1 CMAKE_GENERATOR=Ninja LLAMA_CPP_BUILD_JOBS=$(nproc) \
    CMAKE_ARGS="-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF" nice "$real/$1/bin/pip" install --no-input --retries 5 \
    --progress-bar off -r "tools/requirements-real-$1.txt"
}

ollama() (  # its CPU backend is C++ in the Go module: ten minutes on two cores
  command -v go >/dev/null || { echo "error: go 1.24 or later is not installed"; return 1; }
  export GOPATH=$real/go GOBIN=$real/bin GOFLAGS=-modcacherw
  # A Go module comes without its vendor folders, where this one has three C++ headers: they are taken from packages.
  go mod download "$miniaudio_module" && mkdir -p "$real/include/miniaudio" &&
    ln -sf "$GOPATH/pkg/mod/$miniaudio_module/miniaudio.h" "$real/include/miniaudio/" &&
    debian_packages libstb-dev nlohmann-json3-dev &&
    CPLUS_INCLUDE_PATH=$real/include nice go install "github.com/ollama/ollama@$ollama_version"
)

node_clients() {
  command -v npm >/dev/null || { echo "error: npm is not installed"; return 1; }
  npm install --prefix "$real/node" --no-audit --no-fund $node_packages
}

debian_packages() {  # installs the missing ones of these packages
  dpkg-query -W "$@" >/dev/null 2>&1 && return
  [ "$(id -u)" = 0 ] || { echo "error: apt-get install $* needs root"; return 1; }
  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

java_client() { command -v java || debian_packages default-jdk-headless; }

if [ -z "$quick" ]; then
  for list in services clients llama; do
    part $list "$(cat tools/requirements-real-$list.txt)" python_packages $list
  done
  part ollama "$ollama_version" ollama
  part node "$node_packages" node_clients
  part java 1 java_client
  part chromium 1 debian_packages chromium
  if [ -n "$large" ]; then
    part infinity "$(cat tools/requirements-real-infinity.txt)" python_packages infinity
  fi
fi

bash tools/dev/build.sh --preset release mgpu mgpu_simgpu mgpu_simgpu_command mgpu_simgpu_preload mgpu_fake_service
bash tools/dev/venv.sh test
exec .cache/venv/bin/python -m pytest tests/real -q -p no:cacheprovider -rs ${quick:+-m quick} "$@"

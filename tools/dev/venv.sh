# venv.sh NAME: installs tools/requirements-NAME.txt into .cache/venv. A stamp file with the list's hash makes later calls
# return at once.
set -euo pipefail
list=tools/requirements-$1.txt
venv=.cache/venv
stamp=$venv/.has-$1-$(sha256sum "$list" | cut -c1-16)
[ -e "$stamp" ] && exit 0

# Debian's own Python, not the first one in PATH: the pinned versions were chosen for it.
[ -x $venv/bin/pip ] || /usr/bin/python3 -m venv $venv
echo "setup: Python packages of $list"
PIP_DISABLE_PIP_VERSION_CHECK=1 $venv/bin/pip install --no-input --retries 5 --timeout 60 --progress-bar off -q -r "$list" </dev/null
touch "$stamp"

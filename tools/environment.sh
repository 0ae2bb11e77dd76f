#!/usr/bin/env bash
# Create or refresh .venv with Holdfast (editable) and, where a requirements file is named, everything in it.
# Usage: tools/environment.sh [requirements/test.txt]      PYTHON=python3.12 chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

supported() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if supported "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "Holdfast needs CPython 3.11 or newer and found none; install python3 or say PYTHON=/path/to/python3.x" >&2
    exit 1
}

# Plain Debian ships python3 without ensurepip; the cure is a package named after the version.
install_venv_package() {
    local package
    package="python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing $package" >&2
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
    else
        echo "this Python cannot create environments; type: sudo apt-get install $package" >&2
        exit 1
    fi
}

if ! supported .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    rm -rf .venv
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_venv_package "$python"
    "$python" -m venv .venv
fi

pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
if [ $# -gt 0 ]; then
    pip install --quiet -r "$1"
fi
pip install --quiet -e .

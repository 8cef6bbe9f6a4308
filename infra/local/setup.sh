#!/bin/sh
# The virtual environment: `sh infra/local/setup.sh REQUIREMENTS`, run by make in the project's folder.
# In: Python 3.11 or newer (PYTHON names one). Out: .venv with the pinned, hashed requirements and penstock.
# Shell, because a Python that is too old must get a sentence and not a syntax error.
set -eu
requirements=$1

say() { echo "setup: $*" >&2; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" && echo "$PYTHON" && return
        say "PYTHON=$PYTHON is not Python 3.11 or newer; name another one: make PYTHON=/path/to/python3.11"
        exit 1
    fi
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
        new_enough "$candidate" && echo "$candidate" && return
    done
    say "Penstock needs Python 3.11 or newer and there is none on the PATH; name one: make PYTHON=/path/to/python3.11"
    exit 1
}

# Debian keeps venv in a package of its own.
need_venv() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1 && return
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $package"
        apt-get -q update >/dev/null || true
        DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends "$package" </dev/null >/dev/null
        return
    fi
    say "this Python cannot make virtual environments: run \`sudo apt-get install $package\` (or install uv) and then this again"
    exit 1
}

python=$(find_python)
uv=$(command -v uv || true)
if ! .venv/bin/python -c '' >/dev/null 2>&1; then
    rm -rf .venv
    if [ -n "$uv" ]; then
        uv venv --quiet --python "$(command -v "$python")" .venv
    else
        need_venv "$python"
        "$python" -m venv .venv
    fi
fi

say "installing $requirements into .venv"
if [ -n "$uv" ]; then
    install() { uv pip install --quiet --python .venv/bin/python "$@"; }
else
    # A .venv that uv made has no pip.
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip --default-pip >/dev/null
    install() { .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"; }
fi
install --require-hashes -r "$requirements"
install --no-deps --no-build-isolation -e .

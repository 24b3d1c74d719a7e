# Sourced from the project's folder: sets UV to the pinned uv, and installs it into .uv first if necessary.
UV=.uv/bin/uv

# Installs Debian or Ubuntu packages as root, such as in a container; otherwise prints the command and exits.
need_packages() { # why packages...
    why=$1
    shift
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "hubline: $why: installing $*"
        export DEBIAN_FRONTEND=noninteractive
        apt-get install -y -qq "$@" >/dev/null 2>&1 || { apt-get update -qq >/dev/null && apt-get install -y -qq "$@" >/dev/null; }
    else
        echo "hubline: $why. Install it first: sudo apt-get install $*" >&2
        exit 1
    fi
}

uv_pin=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements/uv.in)
if [ "$("$UV" --version 2>/dev/null | cut -d' ' -f2)" != "$uv_pin" ]; then
    # Debian and Ubuntu package ensurepip, which provides the pip of a new environment, separately from python3.
    python3 -c 'import ensurepip' 2>/dev/null || need_packages "python3 cannot create an environment with pip" python3-venv
    python3 -m venv --clear .uv
    .uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
fi

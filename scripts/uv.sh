# Sourced from the project's folder: sets UV to the pinned uv, installing it into .uv when it is not there yet.
UV=.uv/bin/uv

# A venv needs ensurepip, which Debian and Ubuntu ship apart from python3.
if ! [ -x "$UV" ] && ! python3 -c 'import ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "hubline: python3 has no ensurepip; installing Debian's python3-venv"
        apt-get install -y -qq python3-venv >/dev/null || { apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null; }
    else
        echo "hubline: python3 cannot make a virtual environment. Install the package python3-venv, then call this again." >&2
        exit 1
    fi
fi

uv_pin=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements/uv.txt requirements/uv.in 2>/dev/null | head -n 1)
if [ "$("$UV" --version 2>/dev/null | cut -d' ' -f2)" != "$uv_pin" ]; then
    python3 -m venv --clear .uv
    if [ -f requirements/uv.txt ]; then
        .uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
    else
        .uv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/uv.in
    fi
fi

# Sourced from the project's folder: sets stack, of an image, and base, the image that it is built from.
stack=${STACK:-$(cut -d' ' -f1 .venv/.hubline-setup 2>/dev/null || echo tfx-1.16)}
case $stack in
    tfx-1.21) base=${BASE:-python:3.13-slim-trixie} ;;
    *) base=${BASE:-python:3.10-slim-bookworm} ;;
esac

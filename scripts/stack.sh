# Sourced from the project's folder: sets stack, the stack of the image, and base, its base image.
stack=${STACK:-$(cut -d' ' -f1 .venv/.hubline-setup 2>/dev/null || echo tfx-1.16)}
case $stack in
    tfx-1.21) base=${BASE:-python:3.13-slim-trixie} ;;
    *) base=${BASE:-python:3.10-slim-bookworm} ;;
esac

# The image of every step on Kubeflow Pipelines; `make image` builds it (docs/image.md). It needs BuildKit.
# BASE has Python, with venv, pip and headers; STACK and VARIANT (cpu or gpu) name a lock in requirements/.
ARG BASE=python:3.10-slim-bookworm

FROM ${BASE} AS stack
RUN apt-get update && apt-get install --yes --no-install-recommends binutils g++ && rm -rf /var/lib/apt/lists/*
ARG STACK=tfx-1.16
ARG VARIANT=cpu
COPY requirements/build.txt requirements/${STACK}-${VARIANT}.txt /locks/
# Where packages come from is the business of pip.conf, which is mounted and not kept; a few have no wheels for Linux.
# No step reads tests, headers, what notebooks show, or the symbols that are for debuggers (libraries in *.libs were
# patched by whoever made their wheel, and do not bear stripping). Bytecode is compiled once, here.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_NO_DEPS=1 PIP_REQUIRE_HASHES=1 PIP_ROOT_USER_ACTION=ignore
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv --without-pip /opt/hubline \
    && pip="python3 -m pip --python /opt/hubline/bin/python install" \
    && $pip --requirement /locks/build.txt \
    && $pip --no-build-isolation --requirement /locks/${STACK}-${VARIANT}.txt \
    && rm -r /opt/hubline/share/jupyter \
    && find /opt/hubline/lib -depth -type d \( -name tests -o -name testdata -o -name include \) -exec rm -r {} + \
    && find /opt/hubline/lib -name '*.so*' -type f ! -path '*.libs/*' ! -path '*/nvidia/*' -exec strip --strip-unneeded {} + \
    && /opt/hubline/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/hubline/lib
# TFMA only prints what it cannot import, and goes on with half of itself; the version comes last.
RUN TF_USE_LEGACY_KERAS=1 /opt/hubline/bin/python -c 'from tensorflow_model_analysis import __version__'

FROM stack AS code
COPY . /source
RUN cd /source && PIP_REQUIRE_HASHES=0 python3 -m pip --python /opt/hubline/bin/python install --no-build-isolation --no-index --root /code . \
    && /opt/hubline/bin/python -m compileall -q -s /code -p / --invalidation-mode unchecked-hash /code

FROM ${BASE}
# Of group 0, so that it is writable for any user too that a cluster makes up; older backends of Kubeflow Pipelines mount
# nothing where their launcher puts artifacts.
RUN useradd --uid 1000 --gid 0 --create-home hubline && chmod g+rwx /home/hubline && install -d -m 1777 /gcs /minio /s3
COPY --from=stack /opt/hubline /opt/hubline
# A layer of its own, which is small: a new version of Hubline is pushed and pulled in no time.
COPY --from=code /code /
# TensorFlow finds NVIDIA's libraries, which the gpu variant has.
RUN find /opt/hubline/lib -path '*/nvidia/*/lib' -type d >/etc/ld.so.conf.d/hubline.conf && ldconfig
# A pod's log is to hold our own words and errors: libraries say what is wrong, and not that all is well.
ENV PATH=/opt/hubline/bin:$PATH \
    HOME=/home/hubline \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    GRPC_VERBOSITY=ERROR \
    TF_CPP_MIN_LOG_LEVEL=2 \
    PYTHONWARNINGS=ignore::FutureWarning,ignore::DeprecationWarning,ignore::UserWarning \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TF_USE_LEGACY_KERAS=1
WORKDIR /home/hubline
# By its number, for Kubernetes' runAsNonRoot sees no names.
USER 1000
CMD ["hubline", "--help"]

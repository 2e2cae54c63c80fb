# cellvigil for machines without a GPU:  docker build -f docker/cpu.Dockerfile -t cellvigil:cpu .
#
# TORCH_INDEX is a package index with PyTorch's CPU builds; without it pip takes the public default, which on Linux is
# the CUDA build: it works, and makes the image about 5 GB larger.
#   docker build -f docker/cpu.Dockerfile --build-arg TORCH_INDEX=ADDRESS -t cellvigil:cpu .
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
ARG TORCH_INDEX=""
RUN python -m venv /opt/cellvigil
ENV PATH=/opt/cellvigil/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY .ci/constraints.txt /tmp/constraints.txt
COPY pyproject.toml README.md LICENSE ./
COPY monitor monitor
COPY services services
RUN pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --constraint /tmp/constraints.txt ".[mqtt,pdf,plot]"

FROM ${PYTHON_IMAGE}
# lightgbm's wheel does not bring the OpenMP runtime; Pango and a font are for reports as PDF.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 libpango-1.0-0 libpangoft2-1.0-0 fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home cellvigil \
    && install -d -o cellvigil -g cellvigil /state /watch
COPY --from=build /opt/cellvigil /opt/cellvigil
ENV PATH=/opt/cellvigil/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/home/cellvigil/.cache/numba \
    CELLVIGIL__STATE=/state \
    CELLVIGIL__WATCH__FOLDER=/watch
USER cellvigil
WORKDIR /home/cellvigil
VOLUME /state
# Exit code 1 when the state cannot be written, the disk is full or the queue is not what it must be.
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 CMD ["cellvigil", "doctor", "--quick", "--json"]
CMD ["cellvigil", "--help"]

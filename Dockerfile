# One image for every process; docker-compose.yml says which one a container is.
FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements.lock .
RUN pip install --quiet --no-cache-dir --require-hashes -r requirements.lock

COPY alembic.ini pyproject.toml ./
COPY cli cli
COPY gateway gateway
COPY migrations migrations
COPY services services
COPY shared shared
# A named volume takes the owner of the folder it is mounted on.
RUN python -m compileall -q . && cd / && for name in postgres redis migrate bootstrap gateway catalog entitlements pricing notifier announcer scheduler; do \
        mkdir -p /secrets/$name; done && mkdir /keys && chown -R 10001:10001 /secrets /keys
USER 10001:10001

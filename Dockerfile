FROM python:3.11-slim AS build
# The kernel is compiled; without a compiler its sources would run.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements.lock pyproject.toml setup.py README.md ./
RUN python -m venv /opt/twin
COPY models ./models
COPY topics ./topics
COPY twin_app ./twin_app
# The lock holds the tools of the tests too: here it only says which versions.
RUN /opt/twin/bin/pip install --no-cache-dir --constraint requirements.lock ".[otel]" \
    && cd / && /opt/twin/bin/python -c "import twin_app.kernel as kernel; assert kernel.FORM == 'compiled', kernel.FORM"

FROM python:3.11-slim
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin twin \
    && install -d -o twin -g twin /var/lib/twin
COPY --from=build /opt/twin /opt/twin
ENV PATH=/opt/twin/bin:$PATH TWIN_DATA_DIR=/var/lib/twin PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /var/lib/twin
EXPOSE 6066
# Alive, not ready: a worker that waits for brokers is not to be restarted.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('TWIN_WEB_PORT', '6066') + '/health', timeout=4)"]
ENTRYPOINT ["twin"]
CMD ["worker"]

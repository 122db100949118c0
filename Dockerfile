FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md ./
RUN python -m venv /opt/twin && /opt/twin/bin/pip install --no-cache-dir -r requirements.lock
COPY models ./models
COPY topics ./topics
COPY twin_app ./twin_app
RUN /opt/twin/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 twin && mkdir -p /var/lib/twin && chown twin /var/lib/twin
COPY --from=build /opt/twin /opt/twin
ENV PATH=/opt/twin/bin:$PATH TWIN_DATA_DIR=/var/lib/twin
USER twin
VOLUME /var/lib/twin
ENTRYPOINT ["twin"]
CMD ["worker"]

# Airflow with this project in it:
#   docker build -t opsgenie-dora .
#   docker build -t opsgenie-dora --build-arg AIRFLOW_VERSION=3.1.8 .
# Any tag of apache/airflow from 3.1 on works, "3.2.1-python3.11", say.
ARG AIRFLOW_VERSION=3.3.2

# The package as a wheel. Its build tools are locked as well, and stay out of the image.
FROM apache/airflow:${AIRFLOW_VERSION} AS wheel
COPY requirements-build.txt /tmp/
RUN export PIP_USER=false \
    && python -m venv /tmp/build \
    && /tmp/build/bin/pip install --no-cache-dir --require-hashes -r /tmp/requirements-build.txt
COPY --chown=airflow:root pyproject.toml README.md LICENSE /tmp/source/
COPY --chown=airflow:root plugins /tmp/source/plugins
COPY --chown=airflow:root include /tmp/source/include
RUN /tmp/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation \
        --wheel-dir /tmp/wheel /tmp/source

FROM apache/airflow:${AIRFLOW_VERSION}

# The image keeps the constraints that Airflow was installed under: with them, nothing that it brings
# (FAB, Celery, the providers) is moved.
COPY --from=wheel /tmp/wheel /tmp/wheel
RUN pip install --no-cache-dir --constraint "${HOME}/constraints.txt" \
        "apache-airflow==$(python -c 'from importlib.metadata import version; print(version("apache-airflow"))')" \
        /tmp/wheel/*.whl \
    && python -c "import airflow.providers.celery.executors.celery_executor, opsgenie_provider"

# The DAG files, and the settings; the SQL and the default settings are in the package.
COPY --chown=airflow:root dags /opt/airflow/dags
COPY --chown=airflow:root include/settings.yaml /opt/airflow/include/settings.yaml
ENV OPSGENIE_PROVIDER__SETTINGS_FILE=/opt/airflow/include/settings.yaml

# As in the image above; nothing may run as root.
USER airflow

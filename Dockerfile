# Airflow with this project in it: docker build -t opsgenie-dora .
# The tags below, and apache-airflow in requirements.txt, must be the same version; the build checks it.

# The package as a wheel. Its build tools are locked as well, and stay out of the image.
FROM apache/airflow:3.3.2 AS wheel
COPY requirements-build.txt /tmp/
RUN export PIP_USER=false \
    && python -m venv /tmp/build \
    && /tmp/build/bin/pip install --no-cache-dir --require-hashes -r /tmp/requirements-build.txt
COPY --chown=airflow:root pyproject.toml README.md LICENSE /tmp/source/
COPY --chown=airflow:root plugins /tmp/source/plugins
RUN /tmp/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation \
        --wheel-dir /tmp/wheel /tmp/source

FROM apache/airflow:3.3.2

COPY requirements.txt /opt/lock/

# requirements.txt is complete and has hashes, so it is installed alone: pip wants a hash for
# everything else that stands on the same command line, too.
#
# The image also brings what the lock does not name (Celery, Redis and their providers). The lock
# may move a library below them, so the second step lets pip correct them, and nothing of the lock:
# its versions, without hashes, are the constraints. The build fails where no version suits both.
RUN grep -q "^apache-airflow==${AIRFLOW_VERSION} " /opt/lock/requirements.txt \
    || { echo "requirements.txt is not for Airflow ${AIRFLOW_VERSION}, which this image has" >&2; exit 1; }; \
    pip install --no-cache-dir --require-hashes -r /opt/lock/requirements.txt \
    && sed -E '/^ +--hash=/d; s/ *\\$//' /opt/lock/requirements.txt > /tmp/constraints.txt \
    && pip install --no-cache-dir --constraint /tmp/constraints.txt \
        apache-airflow-providers-celery apache-airflow-providers-redis \
    && rm /tmp/constraints.txt

# Installed, and not only copied, for the connection types' forms.
COPY --from=wheel /tmp/wheel /opt/lock/wheel
RUN pip install --no-cache-dir --no-deps /opt/lock/wheel/*.whl \
    && python -c "import airflow.providers.celery.executors.celery_executor, opsgenie_provider"

COPY --chown=airflow:root dags /opt/airflow/dags
COPY --chown=airflow:root plugins /opt/airflow/plugins
COPY --chown=airflow:root include /opt/airflow/include

# As in the image below; nothing above may leave root behind.
USER airflow

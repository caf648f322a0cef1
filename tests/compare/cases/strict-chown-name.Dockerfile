FROM base
COPY --chown=ghost Dockerfile /

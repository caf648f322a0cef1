FROM base
COPY --chmod=999 Dockerfile /

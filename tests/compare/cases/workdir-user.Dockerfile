FROM base
RUN mkdir -m 700 /p && chown 5:5 /p
USER app
WORKDIR /p
WORKDIR /w
WORKDIR /w/v

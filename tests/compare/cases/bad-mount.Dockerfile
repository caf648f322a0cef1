FROM base
RUN --mount=type=nope,target=/x true

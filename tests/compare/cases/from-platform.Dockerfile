FROM --platform=$BUILDPLATFORM base AS a
RUN echo 1 >/x
FROM --platform=linux/amd64 base
COPY --from=a /x /

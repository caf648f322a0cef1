# syntax=docker/dockerfile:1
# escape=\
# check=skip=all
ARG V=1 W
FROM --platform=$BUILDPLATFORM debian:$V AS build
MAINTAINER a b
ENV a=b c="d e" f=g\ h
ENV old style value
LABEL "a.b"='c' d=e
ARG X=${V:-2}
SHELL ["/bin/bash", "-c"]
RUN --mount=type=cache,target=/c,sharing=locked --network=none \
# comment

  make && \
  make install
RUN ["a", "b c", "\u00e9\n"]
WORKDIR /app
USER a:b
COPY --from=build --chown=1:2 --chmod=u+rX --link --exclude=*.o a b* /d/
ADD --checksum=sha256:0 --unpack=false https://x/y.tar /z
COPY ["a b", "c"]
VOLUME ["/v"]
EXPOSE 80 8000-8010/udp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --retries=3 CMD curl -f x || exit 1
HEALTHCHECK NONE
ONBUILD COPY . /src
ENTRYPOINT ["x"]
CMD y z

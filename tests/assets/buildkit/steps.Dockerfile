FROM debian:12 AS build
ARG VERSION=1
ENV FOO=bar
RUN echo "a & b" > /x && true <one.txt >/dev/null || true
WORKDIR /w
COPY src /dst/
COPY one.txt src/a.txt /two/
COPY src/*.txt /wild/
COPY on?.txt /wild1
COPY --chown=10:20 one.txt /chown
COPY --chown=daemon one.txt /chown2
COPY --chmod=755 one.txt /chmod
COPY src/link /link
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,source=src,target=/b --mount=type=tmpfs,target=/t cat /b/a.txt > /mounted
RUN --mount=type=cache,target=/cc,id=x,sharing=locked --mount=type=bind,target=/ctx true
RUN --mount=type=cache,target=/cu,uid=7,gid=8 touch /cu-done
COPY one.txt src/a.txt src/b.txt /three/

FROM debian:12
ENV A=1
ENV FOO=2 A=3
COPY --from=build /x /two/ /from/
COPY --from=build /wild/*.txt /fromwild/
USER daemon
WORKDIR /app
USER root
COPY . /all/
COPY --exclude=*.txt src /excl/
COPY . .
COPY one.txt /slashdot/.
COPY --link one.txt /linked/
COPY <<EOT /doc
hello
EOT
RUN --mount=type=bind,from=build,source=/two,target=/fb cp /fb/one.txt /y
RUN --mount=type=secret,id=s true
RUN --network=none echo $FOO > /z
RUN true
CMD ["true"]

FROM debian:12 AS a
COPY src/lin? /l/
COPY src/*b /sub/
COPY --exclude=a.txt src/*.txt /e/
COPY s*c /s/
COPY nothing* /n/
COPY src/sub src/sub/c.txt /dup/
ADD one.txt /add
COPY --chown=0:0 one.txt /root0
COPY --chown=daemon:10 one.txt /g
COPY --chmod=u+x one.txt /sym
WORKDIR /rel
WORKDIR sub
RUN --mount=type=cache,target=rel true
RUN --mount=type=cache,target=/ro,ro --mount=type=bind,source=src,target=/b,rw true
RUN --mount=type=bind,source=src/sub,target=/b1 --mount=type=bind,source=src,target=/b2 true
RUN --mount=type=secret,id=s,env=SEC --mount=type=secret,id=s,target=/sec,mode=0444,uid=5 true
RUN <<EOT
set -e
echo hi > /hi
EOT
RUN <<EOT cat > /multi
x
EOT
SHELL ["/bin/bash","-c"]
RUN echo "é\t$HOME" > /u
COPY <<A <<B /ab/
a
A
b
B
COPY --link --chown=3:4 src /lnk
RUN ["true"]

FROM scratch AS s
COPY one.txt /
COPY --link src /src
WORKDIR /w
FROM a
COPY --from=s / /froms/
COPY --from=debian:12 /etc/passwd /etc/group /base/
COPY --from=a /hi /hi2
RUN --mount=type=tmpfs,target=/tt,size=1m true

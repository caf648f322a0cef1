#= only docker has / .*
#: cp /sbin/setcap .
FROM debian:12
COPY setcap /
RUN cp /bin/true /t && /setcap cap_net_raw+ep /t
RUN cp -a /t /u && cp /t /v
RUN useradd -m joe && groupadd -g 4444 grp
USER joe
WORKDIR /home/joe/x
RUN id >/tmp/id; env | sort >/tmp/env
COPY --chown=joe:grp Dockerfile ./
FROM debian:12
COPY --from=0 /t /t

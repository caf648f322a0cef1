FROM base
WORKDIR /a/b
RUN pwd >pwd
WORKDIR c
USER app
WORKDIR /home/app/x/y
RUN pwd >pwd
WORKDIR ../z
USER 5:6
WORKDIR /five/six
ENV D=/env/dir
WORKDIR $D/x
WORKDIR /
WORKDIR /tmp

#= config ArgsEscaped: cairn None \| docker True
FROM base
MAINTAINER Some One <a@b.c>
VOLUME /a /b
VOLUME ["/c d", "/e"]
VOLUME /a
EXPOSE 80 443/tcp 80/udp 8000-8002/udp
EXPOSE 127.0.0.1:8080:99
LABEL a=1
LABEL a=2 b.c/d="e f"
LABEL "k"='v'
STOPSIGNAL SIGKILL
STOPSIGNAL 9
USER nobody
USER 12:13
CMD ["a", "b\"c", "d\te"]
ENTRYPOINT   spaced   words

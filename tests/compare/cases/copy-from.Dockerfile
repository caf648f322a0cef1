#: echo c >ctx
FROM base AS one
RUN mkdir -m 2750 /d && chown 5:6 /d && echo f >/d/f && chown 7:8 /d/f && chmod 6711 /d/f && ln /d/f /d/hard && ln -s f /d/sym && mkfifo /d/p && touch -h -d @1400000000 /d/sym && touch -d @1400000000 /d/f /d
RUN mkdir -p /e/x && ln -s /d /e/tod && ln -s d/f /tof
FROM base AS two
COPY --from=one /d /kept
COPY --from=one /d/ /kept2/
COPY --from=one /d/f /one/f
COPY --from=one /d/sym /two/
COPY --from=0 /tof /three
COPY --from=one --chown=app /d /four
COPY --from=one --chown=:9 /d/f /five
COPY --from=one --chmod=600 /d/f /six
COPY --from=one /e/tod/f /seven
COPY --from=one /e/tod /eight
COPY --from=one /e /nine
COPY --from=one d/* /ten/
COPY --from=one --link /d /eleven
FROM two
COPY --from=base /etc/passwd /pw
COPY --from=1 /kept /kept3
#t /kept/f

#t /kept3/f

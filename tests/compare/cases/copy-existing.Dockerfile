#: mkdir d; echo new >d/f; chmod 700 d; echo n >n; touch -d @1500000000 n d d/f
FROM base
RUN mkdir -m 711 /ex && chown 5:6 /ex && echo old >/ex/f && chmod 600 /ex/f && chown 7:7 /ex/f
RUN echo old >/file && chmod 4755 /file && chown 3:3 /file
RUN mkdir /real && chown 8:8 /real && ln -s /real /ldir && ln -s ../real /rel && echo t >/target && ln -s /target /lfile && ln -s /nowhere /dang
COPY d /ex
COPY n /file
COPY n /ldir
COPY n /rel/m
COPY d /ldir/
COPY n /lfile
COPY n /tmp
COPY --chown=9:9 d /ex
COPY --chmod=755 d/ /real/

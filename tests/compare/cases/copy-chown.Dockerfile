#: mkdir -p d/s; echo f >d/s/f; echo n >n; ln -s n l; chmod 4755 n
FROM base
COPY --chown=app n /a
COPY --chown=app:staff n /b
COPY --chown=:staff n /c
COPY --chown=12 n /d
COPY --chown=12:13 d /e
COPY --chown=app d /made/by/copy/
COPY --chown=1000:staff n /made2/n
COPY --chown=app:50 l /l
USER app
COPY n /userapp
ARG WHO=app
COPY --chown=$WHO:${WHO} n /f

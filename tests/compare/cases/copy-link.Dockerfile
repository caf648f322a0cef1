#= /tmp mode: .*
#: mkdir -p d/s; echo f >d/s/f; echo n >n; chmod 700 d
FROM base
RUN mkdir /real && ln -s /real /ln && mkdir -m 700 /priv && chown 5:5 /priv
COPY --link n /a
COPY --link d /b/
COPY --link --chown=4:5 d /c
COPY --link n /priv/n
COPY --link --chown=4:5 n /made/deep/n
COPY --link --chmod=600 n /tmp/n

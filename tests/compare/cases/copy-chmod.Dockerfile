#= /(g|new|new/parent) mode: cairn (755|2770) \| docker 750
#: mkdir -p d/s; echo f >d/s/f; echo n >n; chmod 700 d/s; ln -s f d/s/l; chmod 4711 n
FROM base
COPY --chmod=600 n /a
COPY --chmod=0755 d /b
COPY --chmod=4755 n /c
COPY --chmod=u+x,go-r n /d
COPY --chmod=a+X d /e
COPY --chmod=u=rwX,go=rX d /f
COPY --chmod=750 n /new/parent/n
COPY --chmod=2770 d /g
COPY n /plain
ARG MODE=640
COPY --chmod=$MODE n /h

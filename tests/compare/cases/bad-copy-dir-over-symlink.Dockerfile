#: mkdir -p d/bin d/lnk; echo f >d/bin/tool; echo g >d/lnk/g
FROM base
RUN mkdir /real && ln -s real /lnk
COPY d /

#: mkdir d; echo new >d/f; echo n >n
FROM base
RUN mkdir /real && ln -s /real /ldir && mkdir /x && ln -s ../real /x/l && ln -s ../../../../real /up
COPY d /ldir
COPY n /x/l/n
COPY d /up/

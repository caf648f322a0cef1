#: mkdir -p real/s; echo f >real/f; ln -s real l; ln -s real/f lf; ln -s /real/f abs; ln -s l ll; ln -s nowhere dang; ln -s ../../../real esc
FROM base
COPY l /a
COPY l/ /b
COPY lf /c
COPY abs /d
COPY l/f /e
COPY ll/s /f/
COPY lf l /g/
COPY esc/f /i
COPY l* /j/
COPY . /k

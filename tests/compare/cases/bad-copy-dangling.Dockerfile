#: ln -s nowhere dang
FROM base
COPY dang /h/

#: echo x >x; mkdir d
FROM scratch
COPY x /a/b/
COPY d /d
WORKDIR /w/x
ENV A=1
LABEL l=1

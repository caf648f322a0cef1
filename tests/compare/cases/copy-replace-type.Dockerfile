#: mkdir -p d/n; echo f >d/n/f; echo x >x
FROM base
RUN mkdir -p /a/n && mkdir /c && mkdir /c/x && ln -s ../tmp /c/y
COPY d /a
COPY x /c/y

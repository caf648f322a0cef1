FROM base AS a
FROM a AS b
FROM b
ENV X=1

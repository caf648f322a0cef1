#: touch a b
FROM base
COPY a b /c

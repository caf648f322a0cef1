#: echo 1 >a.txt
FROM base
COPY a.txt *.nope /a/

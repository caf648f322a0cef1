#= only cairn has /a .*
#= layer 1 names: cairn \['/a'\] \| docker \[\]
#: echo 1 >a.txt
FROM base
COPY *.nope /a/

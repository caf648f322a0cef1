#= /./(d/)?. group: cairn None .*
#= only docker has /f/p .*
#= layer 3 names: .*'/f/p'\]
#: mkdir d; echo f >d/a; ln d/a d/b; ln d/a c; mkfifo p
FROM base
COPY d /d
COPY c d/a /e/
COPY . /f

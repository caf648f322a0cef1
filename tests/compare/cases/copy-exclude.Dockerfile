#= only docker has /d/t.txt .*
#= layer 4 names: cairn \[\] \| docker \['/d/t.txt'\]
#: mkdir -p d/s; echo f >d/s/f.txt; echo n >d/n.md; echo k >d/k.txt; echo z >d/s/z.md; echo t >t.txt; echo m >m.md
FROM base
COPY --exclude=*.md d /a
COPY --exclude=**/*.md d /b
COPY --exclude=s d /c/
COPY --exclude=*.txt *.txt *.md /d/
COPY --exclude=**/*.txt --exclude=n.md d /e
COPY --exclude=d . /f
COPY --exclude=* --exclude=!d/s . /g

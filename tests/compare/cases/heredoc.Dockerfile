#? --build-arg WHO=you
FROM base
ARG WHO=me
COPY <<A <<"B" <<-C /files/
hello $WHO \$WHO ${WHO:-x}
A
plain $WHO
B
	tabbed
	C
COPY --chmod=755 --chown=app <<EOF /script.sh
#!/bin/sh
echo hi
EOF
COPY <<EOF /one
one "quoted" 'single' \\ back
EOF
RUN <<SH
echo first $WHO >/r
echo second >>/r
SH
RUN <<"SH"
#!/bin/busybox sh
echo shebang $0 >/s
SH
RUN cat <<X >/t && cat <<Y >>/t
x $WHO
X
y
Y
RUN <<X cat >/u
content
X
ADD <<EOF /added
a
EOF

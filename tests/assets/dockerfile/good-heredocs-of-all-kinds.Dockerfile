FROM debian
RUN <<EOF
# no comment of the Dockerfile
apt-get update \
  && true

EOF
RUN <<-EOF
		two tabs
	  tab and blanks
	EOF
RUN <<'EOF' cat - > /x
$not \expanded
EOF
RUN <<-"EO F"
	x
	EO F
RUN 3<<EOF cat <&3
fd
EOF
RUN << EOF
blank before the name
EOF
RUN cat <<A - <<B
a
A
b
B
COPY <<robots.txt <<-humans.txt other /srv/
User-agent: $BOT
robots.txt
	tabs go
	humans.txt
ADD <<eo\'f /x
x
eo'f
RUN <<EOF
#!/usr/bin/env python3
print("script")
EOF
RUN echo $((1<<2)) "<<NO" '<<NO' <<<NO
ONBUILD RUN <<EOF
later
EOF
USER <<no

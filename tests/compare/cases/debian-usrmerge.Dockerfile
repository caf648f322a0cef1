#= only docker has / .*
#: mkdir -p d/lib d/bin; echo x >d/lib/x; echo y >d/bin/y; echo z >z
FROM debian:12
COPY d/lib/x /lib/
COPY d/bin /bin
COPY z /lib/made/z
COPY z /var/run/z
ADD z /sbin/
RUN ls -la /lib/x /run/z

#= .*/d(/d|/d/.)? .*
#= layer 4 names: .*
#: mkdir -p r/d; echo f >r/d/f; chmod 640 r/d/f; ln -s f r/d/l; ln r/d/f r/d/h; chmod 711 r/d; touch -d @1400000000 r/d/f r/d
#: for z in '' z j J; do tar --owner=5 --group=6 --numeric-owner -C r -c${z}f a.tar$z .; done
#: cp a.tarz noext; gzip -c Dockerfile >df.gz 2>/dev/null || echo q | gzip -n >df.gz; rm -r r
#t /a/d/f
#t /a/d
#: echo q | gzip -n >df.gz
FROM base
ADD a.tar /a
ADD a.tarz /b/
ADD a.tarj /c
ADD a.tarJ /d
ADD noext /e
ADD df.gz /f/
ADD --chown=app a.tar /g
ADD --chmod=600 a.tar /h
ADD a.tar df.gz /i/
RUN mkdir -m 700 /k && chown 9:9 /k
ADD a.tar /k
ADD --link a.tar /l

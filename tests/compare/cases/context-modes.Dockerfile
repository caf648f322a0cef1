#: mkdir -m 2775 g; mkdir -m 1777 t; touch g/f t/f; chmod 666 g/f; touch s; chmod 6755 s; touch o; chmod 000 o; chown 33:33 o
FROM base
COPY . /all/
COPY g /g

#: touch a b
FROM base
RUN mkdir /ex
WORKDIR /w
COPY a b /ex
COPY a b .
COPY a b /w

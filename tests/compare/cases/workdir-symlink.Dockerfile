FROM base
RUN mkdir /real && ln -s real /l && ln -s /made/up /dang
WORKDIR /l/x
RUN echo $PWD >a; pwd -P >b
WORKDIR /dang
RUN pwd >c

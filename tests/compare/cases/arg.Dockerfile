#? --build-arg X=cli --build-arg GLOBAL=gcli --build-arg HTTP_PROXY=http://p --build-arg EQ=a=b
ARG GLOBAL=g
ARG BASE=base
FROM $BASE
ARG X=def
ARG Y
ARG GLOBAL
ARG Z=${X}-z
ARG EQ
ARG PRE=arg POST=arg2
ENV PRE=env
RUN env | sort >/env; echo "$X $Y $GLOBAL $Z $PRE $POST $HTTP_PROXY" >/x
ENV Y2=$Y X2=$X
ENV POST=env2
ARG POST=again
RUN echo $POST >/post
LABEL l=$X
ARG X=redef
RUN echo $X >/x3
ARG SPACE="a b"
RUN echo "$SPACE" >/sp

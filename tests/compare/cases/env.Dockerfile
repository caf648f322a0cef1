#= config ArgsEscaped: cairn None \| docker True
FROM base
ENV A=1 B="two words" C='sq $A' D=$A E=${A}x F=${NOPE:-def} G=${A:+set} H="a\"b" I=a\ b
ENV OLD value with  spaces $A
ENV A=2 J=$A
ENV K=$A L=\$A M="${A}" N=${NOPE-dash} O=${A#x} P=a.b.c.d
ENV Q=${P%.*} R=${P%%.*} S=${P##*.} T=${P/./-} U=${P//./-}
ENV PATH=/x:$PATH
RUN env | sort >/env; echo $A $D $J $PATH >/e
LABEL a=$A b="${D}" "c d"=e f='$A' multi="line\
two"
EXPOSE $A 80/tcp 53/udp 9000-9002
VOLUME /v$A
STOPSIGNAL SIG${NOPE:-TERM}
USER ${NOPE:-app}
WORKDIR /w-$A
CMD echo $A

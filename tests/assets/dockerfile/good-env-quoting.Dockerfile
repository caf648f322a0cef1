FROM a
ENV a=b c="d e" f='g h' i=j\ k
ENV "quoted key"=x 'l'=m
ENV n= o="" p=''
ENV q=r=s t="${u:-v w}"
ENV old form with  two blanks
ENV old	tab
ENV x="multi \
  line" \
    y=z
LABEL a.b="c" d.e='f'
ARG a b=c d="e f" g=$h

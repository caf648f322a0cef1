FROM scratch
ENV A=1
LABEL l=1

# escape=`
FROM windows
RUN dir c:\
RUN a `
 b
COPY a` b c:\
ENV x=a` b y="q`"q" z='q`' w=\

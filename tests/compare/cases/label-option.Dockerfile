#? --label over=cli --label new=1
FROM base
LABEL over=file keep=1
RUN true

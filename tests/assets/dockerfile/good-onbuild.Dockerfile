FROM a
ONBUILD RUN  x \
  y
onbuild copy --from=b --chown=1 c d
ONBUILD ENV a=b c=d
ONBUILD HEALTHCHECK --retries=2 CMD x
ONBUILD ENTRYPOINT ["a", "b"]

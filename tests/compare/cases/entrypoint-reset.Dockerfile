#= config ArgsEscaped: cairn None \| docker True
FROM base AS a
CMD ["cmd"]
ENTRYPOINT ["entry"]
FROM a
ENTRYPOINT ["other"]

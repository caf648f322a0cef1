#= config ArgsEscaped: cairn None \| docker True
FROM base AS a
ENTRYPOINT ["entry"]
CMD ["cmd"]
FROM a
CMD other words "quoted"

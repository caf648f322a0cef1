#= config ArgsEscaped: cairn None \| docker True
# a comment
# escape=\
from base as Stage
# comment
run echo a # not a comment >/dev/null
env A=1

copy Dockerfile \
  # inner
  /df
cmd ["x"]
